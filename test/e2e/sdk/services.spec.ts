import { type Message, type ServiceInstance } from '@conclave/client';
import { filter, firstValueFrom, ReplaySubject, take, toArray } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { Fixture } from '../client/fixture.js';
import { quickTargets } from '../client/targets.js';

const started: Fixture[] = [];
afterEach(async () => {
  for (const fixture of started.splice(0)) await fixture.end();
});

async function start(kind: (typeof quickTargets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push(fixture);
  return fixture;
}

describe.each(quickTargets)('services, topics and schedules on %s', (kind) => {
  it('lists an instance as long as it lives, over a crash of the member', async () => {
    const fixture = await start(kind);
    const lists = new ReplaySubject<readonly ServiceInstance[]>(1);
    fixture.client().services.instances$('api').subscribe(lists);
    const until = (ids: string): Promise<unknown> =>
      firstValueFrom(lists.pipe(filter((list) => list.map((instance) => instance.id).join() === ids)));
    const first = await fixture
      .client()
      .services.register('api', { id: 'a', address: 'http://a', ttl: '20s' });
    const dying = fixture.client();
    await dying.services.register('api', { id: 'b', address: 'http://b', ttl: '20s' });
    await until('a,b');
    await fixture.crashAndRestart();
    await dying.close();
    await until('a');
    await first.deregister();
    await until('');
  });

  it('gives every message once and in order, over a crash and a compaction, and again from a cursor', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    const total = 60;
    const heard = fixture.client().topics.subscribe('t', { after: 'beginning' }).pipe(take(total), toArray());
    const hearing = firstValueFrom(heard);
    for (let i = 0; i < total; i += 1) {
      const cursor = await client.topics.publish('t', String(i));
      if (i === 20) await fixture.crashAndRestart();
      if (i === 40) await client.kv.compact(BigInt(cursor));
    }
    const messages = await hearing;
    const numbers = Array.from({ length: total }, (_, i) => String(i));
    expect(messages.map((message) => message.text)).toEqual(numbers);
    const rest = fixture.client().topics.subscribe('t', { after: (messages[29] as Message).cursor });
    const again = await firstValueFrom(rest.pipe(take(30), toArray()));
    expect(again.map((message) => message.text)).toEqual(numbers.slice(30));
  });

  it('gives a due time to one of many', async () => {
    const fixture = await start(kind);
    const clients = Array.from({ length: 8 }, () => fixture.client());
    const dueAt = new Date(Date.UTC(2026, 0, 1));
    const claims = await Promise.all(clients.map((client) => client.schedules.claim('nightly', dueAt)));
    expect(claims.filter((isMine) => isMine)).toHaveLength(1);
    expect((await clients[0]?.leases.list())?.length).toBe(1);
  });
});
