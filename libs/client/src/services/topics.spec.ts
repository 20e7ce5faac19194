import { describe, expect, it } from 'vitest';
import { type StoreClient } from '../client.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type Cursor, type Message } from './message.js';

class Listener {
  readonly texts: string[] = [];
  readonly messages: Message[] = [];
  error: unknown;
  completed = false;
  private readonly subscription;

  constructor(client: StoreClient, topic: string, after?: Cursor | 'beginning') {
    this.subscription = client.topics.subscribe(topic, after === undefined ? {} : { after }).subscribe({
      next: (message) => {
        this.messages.push(message);
        this.texts.push(message.text);
      },
      error: (error: unknown) => (this.error = error),
      complete: () => (this.completed = true),
    });
  }

  stop(): void {
    this.subscription.unsubscribe();
  }
}

describe('topics', () => {
  it('gives every message to everybody who listens, in order, from now on', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client('p/'), world.client('p/')];
    await a.topics.publish('t', 'before');
    const listeners = [new Listener(a, 't'), new Listener(b, 't')];
    await world.clock.settle();
    await a.topics.publish('t/other', 'elsewhere');
    await a.topics.publish('t', '1');
    const cursor = await b.topics.publish('t', Buffer.from('2'));
    await a.topics.publish('t', '');
    await world.clock.settle();
    expect(listeners.map((listener) => listener.texts)).toEqual([
      ['1', '2', ''],
      ['1', '2', ''],
    ]);
    const [, message] = listeners[0]?.messages ?? [];
    expect(message).toMatchObject({ topic: 't', cursor, text: '2' });
    expect(new Set(listeners[0]?.messages.map(({ id }) => id)).size).toBe(3);
  });

  it('goes on after a cursor: none twice, none missed, also what came in many pages', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const cursors: Cursor[] = [];
    for (let i = 0; i < 1_203; i += 1) cursors.push(await client.topics.publish('t', String(i)));
    const all = new Listener(world.client(), 't', 'beginning');
    const rest = new Listener(world.client(), 't', cursors[1_199]);
    await world.clock.settle();
    await client.topics.publish('t', 'new');
    await world.clock.settle();
    expect(all.texts).toHaveLength(1_204);
    expect(all.texts.slice(0, 1_203)).toEqual(cursors.map((_, i) => String(i)));
    expect(rest.texts).toEqual(['1200', '1201', '1202', 'new']);
  });

  it('misses nothing over a lost stream and a compaction', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const listener = new Listener(client, 't');
    await world.clock.settle();
    await client.topics.publish('t', '1');
    await world.clock.settle();
    world.store.cutStreams();
    await client.topics.publish('t', '2');
    await world.clock.advance(1_000);
    const publisher = world.client();
    world.store.partition();
    const late = outcomeOf(publisher.topics.publish('t', '3'));
    world.store.heal();
    await world.clock.advance(6_000);
    await publisher.topics.publish('t', '4');
    world.store.compactTo(world.store.revision);
    world.store.cutStreams();
    await world.clock.advance(1_000);
    expect(late.error).toMatchObject({ code: 'timeout' });
    expect(listener.texts).toEqual(['1', '2', '4']);
  });

  it('keeps messages for their time, then removes them, and tells who comes too late', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const first = await client.topics.publish('t', '1', { keep: '10m' });
    await client.topics.publish('t', '2', { keep: '10m' });
    const third = await client.topics.publish('t', '3', { keep: '1h' });
    await world.clock.advance(9 * 60_000);
    await client.topics.publish('t', '4');
    await world.clock.settle();
    const inTime = new Listener(world.client(), 't', first);
    await world.clock.settle();
    expect(inTime.texts).toEqual(['2', '3', '4']);
    inTime.stop();
    await world.clock.advance(2 * 60_000);
    await client.topics.publish('t', '5');
    await world.clock.settle();
    const late = new Listener(world.client(), 't', first);
    const good = new Listener(world.client(), 't', third);
    const all = new Listener(world.client(), 't', 'beginning');
    await world.clock.settle();
    expect(late.error).toMatchObject({ code: 'compacted', compactRevision: BigInt(first) + 1n });
    expect(good.texts).toEqual(['4', '5']);
    expect(all.texts).toEqual(['3', '4', '5']);
    expect(world.store.keys().filter((key) => key.startsWith('topics/t/messages/'))).toHaveLength(3);
  });

  it('removes nothing behind a message that is still to be kept', async () => {
    const world = new FakeWorld();
    const client = world.client();
    await client.topics.publish('t', 'kept', { keep: '1h' });
    await client.topics.publish('t', 'past', { keep: '1m' });
    await world.clock.advance(10 * 60_000);
    await client.topics.publish('t', 'new');
    await world.clock.settle();
    const all = new Listener(world.client(), 't', 'beginning');
    await world.clock.settle();
    expect(all.texts).toEqual(['kept', 'past', 'new']);
  });

  it('tells a listener that was away so long that messages it had not seen were removed', async () => {
    const world = new FakeWorld();
    const listener = new Listener(world.client(), 't');
    await world.clock.settle();
    world.store.partition();
    // Another publisher, who removes the message when its time has passed, as publishers do.
    const removed = world.store.putKey('topics/t/messages/x', 'its time has passed');
    world.store.write((mvcc, written) => {
      mvcc.deleteRange(
        { key: Buffer.from('topics/t/messages/x'), range_end: Buffer.alloc(0), prev_kv: false },
        written,
      );
    });
    world.store.putKey('topics/t/floor', String(removed));
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(2_000);
    expect(listener.error).toMatchObject({ code: 'compacted', compactRevision: removed });
    expect(listener.texts).toEqual([]);
  });

  it('P11 publishes once when the answer is lost, and says so when every answer is', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const listener = new Listener(client, 't');
    await world.clock.settle();
    world.store.dropAnswers('txn', 2);
    const published = outcomeOf(client.topics.publish('t', 'once'));
    await world.clock.advance(1_000);
    expect(published.value).toBe(listener.messages[0]?.cursor);
    expect(listener.texts).toEqual(['once']);
    world.store.dropAnswers('txn', 100);
    const lost = outcomeOf(client.topics.publish('t', 'lost'));
    await world.clock.advance(10_000);
    expect(lost.error).toMatchObject({ code: 'maybe-applied' });
    expect(listener.texts).toEqual(['once', 'lost']);
  });

  it('errors when the store is another one, and completes when the client closes', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const listener = new Listener(client, 't');
    await world.clock.settle();
    world.store.replaceStore();
    await world.clock.advance(1_000);
    expect(listener.error).toMatchObject({ code: 'store-replaced' });
    await expect(client.topics.publish('', 'x')).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('errors on a cursor that this store has not reached, rather than passing over what comes until then', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const cursor = await client.topics.publish('t', '1');
    const listener = new Listener(client, 't', cursor + 5n);
    await world.clock.settle();
    expect(listener.error).toMatchObject({ code: 'store-replaced' });
    const next = new Listener(client, 't', cursor);
    await client.topics.publish('t', '2');
    await world.clock.settle();
    expect(next.texts).toEqual(['2']);
  });

  it('asks the store nothing any more after it was unsubscribed', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const listener = new Listener(client, 't', 'beginning');
    listener.stop();
    await world.clock.advance(10_000);
    expect(world.store.watchers).toEqual([]);
    expect(world.clock.timers).toBe(0);
  });
});
