import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IdentityFileError, readIdentity, writeIdentity } from './identity-file.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'conclave-identity-file-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the identity file', () => {
  it('keeps ids of 64 bits', () => {
    expect(readIdentity(join(directory, 'member'))).toBeUndefined();
    const identity = { clusterId: 2n ** 64n - 1n, memberId: 1n, clusterToken: 'a b' };
    writeIdentity(join(directory, 'member'), identity);
    expect(readIdentity(join(directory, 'member'))).toEqual(identity);
    const foundingMembers = [{ id: 2n ** 63n, name: 'a', peerUrls: ['http://10.0.0.1:2380'] }];
    for (const members of [foundingMembers, []]) {
      writeIdentity(join(directory, 'member'), { ...identity, foundingMembers: members });
      expect(readIdentity(join(directory, 'member'))).toEqual({ ...identity, foundingMembers: members });
    }
  });

  it('refuses what is damaged or newer, and says what to do', () => {
    const refused = (content: string): unknown => {
      writeFileSync(join(directory, 'identity.json'), content);
      try {
        return readIdentity(directory);
      } catch (error) {
        return error instanceof IdentityFileError ? error.message : error;
      }
    };
    expect(refused('{')).toMatch(/is not JSON. Restore/);
    expect(refused('{"format":1,"clusterId":"xyz","memberId":"1"}')).toMatch(/is damaged/);
    expect(
      refused(
        '{"format":1,"clusterId":"1","memberId":"1","clusterToken":"a","foundingMembers":[{"id":"1"}]}',
      ),
    ).toMatch(/is damaged/);
    expect(refused('{"format":2}')).toMatch(/has format 2; this version reads 1. Start the newer version/);
  });
});
