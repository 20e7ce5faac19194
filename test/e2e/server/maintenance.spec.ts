import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess } from '../../members/member-process.js';
import { runEtcdctl } from './command.js';

/** The last bytes of a state file: its seal, which begins with these characters. */
const sealBytes = 64;
const sealMagic = 'CSTF';

describe('maintenance of a member', () => {
  let member: MemberProcess;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
    member = await MemberProcess.create('conclave');
    await member.start();
  });

  afterAll(async () => {
    await member?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function etcdctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runEtcdctl(member.address, args);
    expect(
      `${code} ${stderr
        .split('\n')
        .filter((line) => line.startsWith('Error'))
        .join()}`,
    ).toBe('0 ');
    return stdout.toString('utf8');
  }

  async function post(path: string, body: object): Promise<string> {
    const response = await fetch(`${member.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
    return response.text();
  }

  it.skipIf(!hasProgram('etcdctl'))('saves a snapshot with etcdctl, and leaves no copy behind', async () => {
    for (let n = 0; n < 20; n++) await etcdctl('put', `key-${n}`, `unmistakable value ${n}`);
    const path = join(folder, 'saved.db');
    await etcdctl('snapshot', 'save', path);
    const saved = readFileSync(path);
    const [data, digest] = [saved.subarray(0, -32), saved.subarray(-32)];
    expect(data.length % 512).toBe(0);
    expect(createHash('sha256').update(data).digest()).toEqual(digest);
    const state = stateFile(data);
    expect(createHash('sha256').update(state.subarray(0, -32)).digest()).toEqual(state.subarray(-32));
    for (let n = 0; n < 20; n++) expect(state.includes(`unmistakable value ${n}`)).toBe(true);
    expect(readdirSync(join(member.dataDirectory, 'member', 'spool'))).toEqual([]);
  });

  it.skipIf(!hasProgram('etcdctl'))('hashes, defragments and disarms with etcdctl', async () => {
    expect(await etcdctl('endpoint', 'hashkv', '-w', 'json')).toMatch(/"hash":\d+,"compact_revision":-1/);
    expect(await etcdctl('defrag')).toContain('Finished defragmenting etcd member');
    await post('maintenance/alarm', { action: 'ACTIVATE', memberID: '7', alarm: 'NOSPACE' });
    expect(await etcdctl('alarm', 'list')).toBe('memberID:7 alarm:NOSPACE \n');
    expect(await etcdctl('alarm', 'disarm')).toBe('memberID:7 alarm:NOSPACE \n');
    expect(await etcdctl('alarm', 'list')).toBe('');
  });

  it('answers the same over JSON', async () => {
    expect(JSON.parse(await post('maintenance/hashkv', {}))).toMatchObject({
      hash: expect.any(Number) as number,
    });
    expect(JSON.parse(await post('maintenance/hash', {}))).toMatchObject({
      hash: expect.any(Number) as number,
    });
    expect(await post('maintenance/defragment', {})).toBe('{}');
    const lines = (await post('maintenance/snapshot', {})).trim().split('\n');
    const blobs = lines.map((line) => (JSON.parse(line) as { result: { blob: string } }).result.blob);
    const data = Buffer.concat(blobs.slice(0, -1).map((blob) => Buffer.from(blob, 'base64')));
    expect(createHash('sha256').update(data).digest('base64')).toBe(blobs.at(-1));
  });
});

/** What is left of the data of a snapshot without the zero bytes behind the seal. */
function stateFile(data: Buffer): Buffer {
  for (let end = data.length; end > data.length - 512; end--) {
    const at = end - sealBytes;
    if (data.toString('latin1', at, at + 4) === sealMagic) return data.subarray(0, end);
  }
  throw new Error('there is no seal');
}
