import { type ConclaveClient, op } from '@conclave/client';
import { afterEach, describe, expect, it } from 'vitest';
import { Fixture } from '../client/fixture.js';
import { quickTargets } from '../client/targets.js';
import { SilentLine } from './silent-line.js';

const started: Fixture[] = [];
afterEach(async () => {
  for (const fixture of started.splice(0)) await fixture.end();
});

async function start(kind: (typeof quickTargets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push(fixture);
  return fixture;
}

const nameOf = (number: number): string => `k${String(number).padStart(5, '0')}`;

async function fill(client: ConclaveClient, count: number, value: (number: number) => string): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    const txn = client.kv.txn();
    for (let i = from; i < Math.min(count, from + 100); i += 1) txn.do(op.put(nameOf(i), value(i)));
    await txn.commit();
  }
}

const count = 3_000;

describe.each(quickTargets)('large ranges on %s', (kind) => {
  it('come in pages, and as a stream, at one revision while everything changes', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ keyPrefix: 'app/' });
    await fill(client, count, () => 'before');
    const expected = Array.from({ length: count }, (_, i) => nameOf(i));
    for (const way of ['pages', 'stream'] as const) {
      const names: string[] = [];
      let changes = 0;
      const change = async (): Promise<void> => {
        changes += 1;
        await client.kv.put(nameOf(count - changes), 'after');
        await client.kv.put(`k${'9'.repeat(5 + changes)}`, 'after');
      };
      if (way === 'pages') {
        for await (const page of client.kv.pages('k0', { prefix: true, pageSize: 700 })) {
          for (const entry of page) if (entry.text === 'before') names.push(entry.key);
          await change();
        }
        expect(changes).toBe(5);
      } else {
        for (let i = 1; i <= 5; i += 1) await client.kv.put(nameOf(count - i), 'before');
        for await (const entry of client.kv.stream('k0', { prefix: true, pageSize: 700 })) {
          if (entry.text === 'before') names.push(entry.key);
          if (names.length % 500 === 0) await change();
        }
      }
      expect(names).toEqual(expected);
    }
    // etcd has such streams since 3.7.
    if (kind === 'conclave') {
      const metrics = await (await fetch(`${fixture.member.url}/metrics`)).text();
      expect(metrics).toMatch(/grpc_server_handled_total\{.*grpc_method="RangeStream",grpc_code="OK"\} 1\b/);
    }
  });

  it('end with CompactedError when their revision is compacted before the last page', async () => {
    const fixture = await start(kind);
    const client = fixture.client();
    await fill(client, 300, () => 'v');
    const reading = async (): Promise<void> => {
      for await (const page of client.kv.pages('k', { prefix: true, pageSize: 100 })) {
        expect(page).toHaveLength(100);
        const { revision } = await client.kv.put('other', 'v');
        await client.kv.compact(revision);
      }
    };
    await expect(reading()).rejects.toMatchObject({ name: 'CompactedError' });
  });

  it('go on over a crash of the member', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    await fill(client, count, (i) => String(i));
    const values: string[] = [];
    for await (const entry of client.kv.stream('k', { prefix: true, pageSize: 500 })) {
      values.push(entry.text);
      if (values.length === 600) await fixture.crashAndRestart();
    }
    expect(values).toEqual(Array.from({ length: count }, (_, i) => String(i)));
  });

  it('wait at the server while the consumer is busy', async () => {
    const fixture = await start(kind);
    const client = fixture.client();
    const large = 'x'.repeat(100_000);
    const total = 400;
    for (let i = 0; i < total; i += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, j) => client.kv.put(nameOf(i + j), large)));
    }
    const line = await SilentLine.to(fixture.member.clientPort);
    const reader = fixture.client({ endpoints: [line.url] });
    const entries = reader.kv.stream('k', { prefix: true, pageSize: 10 })[Symbol.asyncIterator]();
    for (let i = 0; i < 15; i += 1) await entries.next();
    // The member has all the time that other answers take to come and go.
    for (let i = 0; i < 50; i += 1) await reader.kv.get('absent');
    expect(line.received).toBeLessThan((total * large.length) / 2);
    let seen = 15;
    for (let next = await entries.next(); next.done !== true; next = await entries.next()) seen += 1;
    expect(seen).toBe(total);
    expect(line.received).toBeGreaterThan(total * large.length);
    await reader.close();
    await line.close();
  });
});
