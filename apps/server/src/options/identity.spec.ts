import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { deriveFoundingIdentity } from './identity.js';

const run = promisify(execFile);
const hasEtcd =
  spawnSync('etcd', ['--version']).status === 0 && spawnSync('etcdctl', ['version']).status === 0;

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Reads a 64-bit field of etcdctl's JSON, whose numbers are too long for `JSON.parse`. */
function idIn(json: string, field: string): bigint {
  const match = new RegExp(`"${field}":(\\d+)`).exec(json);
  if (match?.[1] === undefined) throw new Error(`no ${field} in ${json}`);
  return BigInt(match[1]);
}

describe('deriveFoundingIdentity', () => {
  it("gives a default member etcd's well-known ids", () => {
    const { clusterId, memberId } = deriveFoundingIdentity(
      new Map([['default', ['http://localhost:2380']]]),
      'default',
      'etcd-cluster',
    );
    expect(memberId).toBe(0x8e9e05c52164694dn);
    expect(clusterId).toBe(0xcdf818194e3a8c32n);
  });

  it('does not depend on the order of members and URLs', () => {
    const left = new Map([
      ['a', ['http://1.1.1.1:1', 'http://2.2.2.2:2']],
      ['b', ['http://3.3.3.3:3']],
    ]);
    const right = new Map([
      ['b', ['http://3.3.3.3:3']],
      ['a', ['http://2.2.2.2:2', 'http://1.1.1.1:1']],
    ]);
    expect(deriveFoundingIdentity(left, 'a', 't').clusterId).toBe(
      deriveFoundingIdentity(right, 'a', 't').clusterId,
    );
    expect(deriveFoundingIdentity(left, 'a', 't').memberId).toBe(
      deriveFoundingIdentity(right, 'a', 't').memberId,
    );
  });

  it('refuses a name that is not a member', () => {
    expect(() => deriveFoundingIdentity(new Map([['a', ['http://1.1.1.1:1']]]), 'b', 't')).toThrow(
      RangeError,
    );
  });

  it.skipIf(!hasEtcd)('agrees with a running etcd', async () => {
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
    const dataDir = mkdtempSync(join(tmpdir(), 'conclave-identity-'));
    const flags = {
      name: 'infra1',
      'data-dir': dataDir,
      'listen-client-urls': clientUrl,
      'advertise-client-urls': clientUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `infra1=${peerUrl}`,
      'initial-cluster-token': 'token-7',
    };
    const etcd = spawn(
      'etcd',
      Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
      { stdio: 'ignore' },
    );
    try {
      const { stdout } = await run(
        'etcdctl',
        [
          '--endpoints',
          clientUrl,
          '--dial-timeout=20s',
          '--command-timeout=20s',
          '--write-out=json',
          'member',
          'list',
        ],
        { env: { ...process.env, ETCDCTL_API: '3' } },
      );
      const { clusterId, memberId } = deriveFoundingIdentity(
        new Map([['infra1', [peerUrl]]]),
        'infra1',
        'token-7',
      );
      expect({ clusterId, memberId }).toEqual({
        clusterId: idIn(stdout, 'cluster_id'),
        memberId: idIn(stdout, 'ID'),
      });
    } finally {
      etcd.kill('SIGKILL');
      await once(etcd, 'exit');
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});
