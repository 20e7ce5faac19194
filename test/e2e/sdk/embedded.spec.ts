import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConclaveClient, type ConnectionState, createClient } from '@conclave/client';
import { type EmbeddedMember, startEmbedded } from '@conclave/client/testing';
import { filter, firstValueFrom } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { startEmbedded as startServer } from '../../../apps/server/src/embed.js';
import { type ServerPackage } from '../../../libs/client/src/testing/server-package.js';
import { repositoryRoot } from '../../members/member-process.js';

/** The server is what the SDK takes it for; the SDK itself cannot import it. */
const serverPackage: ServerPackage = { startEmbedded: (options) => startServer(options) };

const members: EmbeddedMember[] = [];
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.stop()));
});

async function start(options: Parameters<typeof startEmbedded>[0] = {}): Promise<EmbeddedMember> {
  const member = await startEmbedded(options);
  members.push(member);
  return member;
}

function connectionIs(client: ConclaveClient, kind: ConnectionState['kind']): Promise<ConnectionState> {
  return firstValueFrom(client.connection$.pipe(filter((state) => state.kind === kind)));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

describe('startEmbedded', () => {
  it('serves keys, watches, locks and elections without a port', async () => {
    const member = await start();
    expect(member.address).toBeUndefined();
    const [one, two] = [member.client(), member.client({ keyPrefix: 'apps/' })];
    const seen = firstValueFrom(one.watch.events('apps/a', { fromRevision: 1n }));
    await two.kv.put('a', '1');
    expect((await seen).changes).toMatchObject([{ key: 'apps/a', type: 'put' }]);
    await two.locks.mutex('m').run(async (handle) => {
      expect(await one.kv.get(handle.key)).not.toBeNull();
    });
    const leadership = await one.elections.election('e').campaign({ value: 'one' });
    expect((await one.elections.election('e').leader())?.value.toString()).toBe('one');
    await leadership.resign();
  });

  it('keeps several members apart, and can be reached through a port when asked', async () => {
    const [one, two] = [await start(), await start({ port: 0 })];
    await one.client().kv.put('a', 'one');
    expect(await two.client().kv.get('a')).toBeNull();
    const outside = createClient({ endpoints: [two.address ?? ''] });
    await outside.kv.put('a', 'two');
    expect((await two.client().kv.get('a'))?.value.toString()).toBe('two');
    await outside.close();
  });

  it('keeps the data of a directory', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-embedded-'));
    try {
      const first = await start({ directory });
      await first.client().kv.put('a', 'kept');
      await expect(first.replaceStore()).rejects.toThrow(/would be lost/);
      await first.stop();
      const second = await start({ directory });
      expect((await second.client().kv.get('a'))?.value.toString()).toBe('kept');
      await second.stop();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('takes leases away, so that a lock is lost at once', async () => {
    const member = await start();
    const client = member.client();
    const handle = await client.locks.mutex('m').acquire();
    await member.expireLease(handle.leaseId);
    await aborted(handle.signal);
    expect(handle.isHeld()).toBe(false);
    await expect(member.expireLease(handle.leaseId)).rejects.toMatchObject({ code: 'lease-not-found' });
  });

  it('cuts connections and heals them: watches go on without a gap', async () => {
    const member = await start();
    const [watching, writing] = [
      member.client({ retry: { base: 10, max: 50 } }),
      member.client({ retry: { base: 10, max: 50 } }),
    ];
    const seen: string[] = [];
    const done = new Promise<void>((resolve) => {
      watching.watch.events('k', { prefix: true, fromRevision: 1n }).subscribe(({ changes }) => {
        seen.push(...changes.map(({ key }) => key));
        if (seen.includes('k/3')) resolve();
      });
    });
    await writing.kv.put('k/1', '');
    const suspended = connectionIs(watching, 'suspended');
    member.cutConnections();
    await suspended;
    await expect(writing.kv.get('k/1', { timeoutMs: 100 })).rejects.toMatchObject({ retryable: true });
    member.heal();
    await writing.ready();
    await writing.kv.put('k/2', '');
    await writing.kv.put('k/3', '');
    await done;
    expect(seen).toEqual(['k/1', 'k/2', 'k/3']);
  });

  it('compacts, and says so to readers of the past', async () => {
    const member = await start();
    const client = member.client();
    await client.kv.put('a', '1');
    await client.kv.put('a', '2');
    await member.compact();
    await expect(client.kv.get('a', { revision: 2n })).rejects.toMatchObject({ code: 'compacted' });
    await expect(member.compact(2n)).rejects.toMatchObject({ code: 'compacted' });
    await expect(member.compact(99n)).rejects.toMatchObject({ code: 'future-revision' });
  });

  it('replaces the store: clients find it out, and locks are lost', async () => {
    const member = await start({ port: 0 });
    const { address } = member;
    const client = member.client({ retry: { base: 10, max: 50 } });
    await client.ready();
    const before = (await connectionIs(client, 'connected')) as ConnectionState & { kind: 'connected' };
    const handle = await client.locks.mutex('m').acquire();
    const replaced = firstValueFrom(client.store.replaced$);
    await member.replaceStore();
    expect((await replaced).previousClusterId).toBe(before.clusterId);
    await aborted(handle.signal);
    expect(handle.signal.reason).toMatchObject({ lossReason: 'store-replaced' });
    expect(member.address).toBe(address);
    expect(await client.kv.get('a')).toBeNull();
  });

  it('refuses wrong options with all mistakes', async () => {
    await expect(startEmbedded({ options: { electionTimeout: '1' } })).rejects.toThrow(/election-timeout/);
    await expect(serverPackage.startEmbedded({ options: { maxTxnOps: 'x' } })).rejects.toThrow(/max-txn-ops/);
  });

  it('leaves nothing behind: a process that used members ends by itself', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-embedded-'));
    const script = join(repositoryRoot, 'test/dist/e2e/sdk/embedded-process.js');
    const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    const [code] = (await once(child, 'exit')) as [number | null];
    clearTimeout(timer);
    rmSync(directory, { recursive: true, force: true });
    expect({ code, left: (JSON.parse(text) as { left: string[] }).left }).toEqual({ code: 0, left: [] });
  });
});
