import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { UnauthorizedError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type IteratedBatch, iterateBatches } from './iterate.js';
import { latest } from './latest.js';
import { type KeyChange, type RevisionBatch } from './revision-batch.js';

const bytes = (key: string) => Buffer.from(key);
const put = (key: string, value: string, created = false, prev?: string): KeyChange => ({
  type: 'put',
  key,
  keyBytes: bytes(key),
  value: bytes(value),
  ...(prev === undefined ? {} : { prev: bytes(prev) }),
  created,
  createRevision: 1n,
  modRevision: 1n,
  version: 1n,
});
const del = (key: string, prev?: string): KeyChange => ({
  type: 'delete',
  key,
  keyBytes: bytes(key),
  ...(prev === undefined ? {} : { prev: bytes(prev) }),
});
const batch = (
  revision: bigint,
  changes: readonly KeyChange[],
  more: Partial<RevisionBatch> = {},
): RevisionBatch => ({ revision, cause: 'change', changes, complete: false, ...more });

const told = ({ revision, cause, batches, complete, changes }: IteratedBatch): string => {
  const list = changes.map((c) => (c.type === 'put' ? `+${c.key}=${String(c.value)}` : `-${c.key}`));
  return `${revision} ${cause}${complete ? '!' : ''} x${batches}: ${list.join(' ')}`;
};

describe('iterating over a watch', () => {
  it('delivers every batch to a consumer that keeps up', async () => {
    const world = new FakeWorld();
    const stop = new AbortController();
    const seen: string[] = [];
    const loop = (async () => {
      for await (const one of world.client().watch.iterate('k', { signal: stop.signal }))
        seen.push(told(one));
    })();
    await world.clock.settle();
    for (let n = 0; n < 3; n += 1) {
      world.store.putKey('k', String(n));
      await world.clock.settle();
    }
    stop.abort();
    await loop;
    expect(seen).toEqual(['2 change x1: +k=0', '3 change x1: +k=1', '4 change x1: +k=2']);
    expect(world.store.watchers).toEqual([]);
  });

  it('begins with the first pull, and ends its watch when the loop is left', async () => {
    const world = new FakeWorld();
    const batches = world.client().watch.iterate('k', { initial: true });
    const iterator = batches[Symbol.asyncIterator]();
    await world.clock.settle();
    expect(world.store.calls).toEqual([]);
    await iterator.next();
    await world.clock.settle();
    expect(world.store.watchers).toHaveLength(1);
    const pending = outcomeOf(iterator.next());
    await iterator.return?.();
    await world.clock.settle();
    expect(pending.value).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(world.store.watchers).toEqual([]);
  });

  it('P33 puts together what a slow consumer has no room for: the newest change of each key, and says so', async () => {
    const source = new Subject<RevisionBatch>();
    const iterator = iterateBatches(source, 2)[Symbol.asyncIterator]();
    const first = iterator.next();
    source.next(batch(1n, [put('a', '1', true)]));
    await first;
    source.next(batch(2n, [put('a', '2', false, '1')]));
    source.next(batch(3n, [put('b', '1', true)]));
    source.next(batch(4n, [del('b', '1'), put('a', '3', false, '2')]));
    source.next(batch(5n, [put('b', '2', true), put('c', '1', true)]));
    source.next(batch(6n, [del('c', '1')]));
    const { value } = await iterator.next();
    expect(value && told(value)).toBe('6 conflated x5: +a=3 +b=2 -c');
    expect(value?.changes[0]).toMatchObject({ prev: bytes('1'), created: false });
    expect(value?.changes[1]).toMatchObject({ created: true });
    expect(value?.changes[1]).not.toHaveProperty('prev');
    source.next(batch(7n, [put('a', '4')]));
    const next = await iterator.next();
    expect(next.value && told(next.value)).toBe('7 change x1: +a=4');
  });

  it('forgets what came before a batch that names everything, and keeps the news of another store', async () => {
    const source = new Subject<RevisionBatch>();
    const iterator = iterateBatches(source, 1)[Symbol.asyncIterator]();
    const first = iterator.next();
    source.next(batch(8n, []));
    await first;
    source.next(batch(9n, [put('old', '1')]));
    source.next(batch(3n, [put('a', '1')], { cause: 'store-replaced', complete: true }));
    source.next(batch(4n, [put('b', '1')]));
    const { value } = await iterator.next();
    expect(value && told(value)).toBe('4 store-replaced! x3: +a=1 +b=1');
  });

  it('tells an error once, after everything that was before it', async () => {
    const source = new Subject<RevisionBatch>();
    const iterator = iterateBatches(source, 10)[Symbol.asyncIterator]();
    const first = iterator.next();
    source.next(batch(1n, [put('a', '1')]));
    await first;
    source.next(batch(2n, [put('a', '2')]));
    source.error(new UnauthorizedError('no permission'));
    expect(await iterator.next()).toMatchObject({ done: false });
    await expect(iterator.next()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('refuses a mark that leaves no room', () => {
    const { watch } = new FakeWorld().client();
    expect(() => watch.iterate('k', { highWaterMark: 0 })).toThrow('highWaterMark: 0');
  });
});

describe('latest', () => {
  it('gives a slow consumer the newest value, leaves out those between, and ends with its source', async () => {
    const source = new Subject<number>();
    const seen: number[] = [];
    let release: () => void = () => undefined;
    const loop = (async () => {
      for await (const value of latest(source)) {
        seen.push(value);
        await new Promise<void>((resolve) => (release = resolve));
      }
    })();
    await Promise.resolve();
    source.next(1);
    for (let n = 2; n <= 100; n += 1) source.next(n);
    await new Promise(setImmediate);
    expect(seen).toEqual([1]);
    release();
    await new Promise(setImmediate);
    expect(seen).toEqual([1, 100]);
    source.next(101);
    source.complete();
    release();
    await new Promise(setImmediate);
    release();
    await loop;
    expect(seen).toEqual([1, 100, 101]);
  });
});
