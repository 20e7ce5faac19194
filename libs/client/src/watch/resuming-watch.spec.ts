import { etcdserverpb as pb, mvccpb } from '@conclave/protocol';
import { type Observable, throwError, tap } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { type ConclaveError, StoreReplacedError, UnauthorizedError, UnavailableError } from '../errors.js';
import { KeyNamespace } from '../key-range.js';
import { schedulerRuntime } from '../testing/marble-runtime.js';
import { KnownKeys } from './known-keys.js';
import { resumingWatch, type ResumingWatchOptions, type WatchSignal } from './resuming-watch.js';
import { type Listing, type ListOptions, type WatchSource } from './watch-source.js';

const clusterId = 7n;

/** Readable names for what a watch tells: `5: +a -b`, `5 resync!: +a` (complete), `live`, `stale unavailable`. */
function tell(signal: WatchSignal): string {
  if (signal.kind === 'live') return 'live';
  if (signal.kind === 'stale') return `stale ${signal.error.code}`;
  const { revision, cause, changes, complete } = signal.batch;
  const list = changes.map((change) => `${change.type === 'put' ? '+' : '-'}${change.key}`).join(' ');
  return `${revision}${cause === 'change' ? '' : ` ${cause}`}${complete ? '!' : ''}: ${list}`;
}

function response(parts: Partial<pb.WatchResponse>, revision: bigint, cluster = clusterId): pb.WatchResponse {
  const header = { cluster_id: cluster, member_id: 1n, revision, raft_term: 1n };
  return { ...pb.WatchResponse.create(), header, ...parts };
}

const created = (revision: bigint, cluster = clusterId) => response({ created: true }, revision, cluster);

function put(key: string, revision: bigint, createRevision = revision): mvccpb.Event {
  const kv = mvccpb.KeyValue.create({
    key: Buffer.from(key),
    mod_revision: revision,
    create_revision: createRevision,
  });
  return { type: mvccpb.Event_EventType.PUT, kv, prev_kv: undefined };
}

function del(key: string, revision: bigint): mvccpb.Event {
  const kv = mvccpb.KeyValue.create({ key: Buffer.from(key), mod_revision: revision });
  return { type: mvccpb.Event_EventType.DELETE, kv, prev_kv: undefined };
}

const events = (...list: mvccpb.Event[]) => response({ events: list }, list.at(-1)?.kv?.mod_revision ?? 0n);
const fragment = (...list: mvccpb.Event[]) => ({ ...events(...list), fragment: true });

function listing(revision: bigint, keys: Record<string, bigint>, cluster = clusterId): Listing {
  const kvs = Object.entries(keys).map(([key, modRevision]) =>
    mvccpb.KeyValue.create({
      key: Buffer.from(key),
      mod_revision: modRevision,
      create_revision: modRevision,
    }),
  );
  return { clusterId: cluster, revision, kvs };
}

const unavailable = new UnavailableError('lost');

const base: ResumingWatchOptions = {
  fromRevision: 5n,
  initial: false,
  trackKeys: false,
  progress: false,
  puts: true,
  deletes: true,
  // The first pause is half of the base: with a jitter of one half, five frames.
  backoff: { baseMs: 10, maxMs: 40, jitter: 'full' },
};

interface Script {
  /** One per stream that is opened, in order. */
  streams: (Observable<pb.WatchResponse> | string)[];
  /** One per list that is asked for, in order. */
  lists?: (Observable<Listing> | string)[];
  responses?: Record<string, pb.WatchResponse>;
  listings?: Record<string, Listing>;
  errors?: { stream?: ConclaveError; list?: ConclaveError };
  options?: Partial<ResumingWatchOptions>;
  /** When to unsubscribe, as a marble diagram. */
  until?: string;
}

/** Runs one watch against the script; gives what it told as `frame text`, and what it asked of the source. */
function run(script: Script): { told: string[]; asked: string[] } {
  const told: string[] = [];
  const asked: string[] = [];
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
  scheduler.run(({ cold }) => {
    const streams = script.streams.map((stream) =>
      typeof stream === 'string'
        ? cold(stream, script.responses, script.errors?.stream ?? unavailable)
        : stream,
    );
    const lists = (script.lists ?? []).map((list) =>
      typeof list === 'string' ? cold(list, script.listings, script.errors?.list ?? unavailable) : list,
    );
    const source: WatchSource = {
      open: (from) => {
        asked.push(`${scheduler.now()} open ${from}`);
        return streams.shift() ?? throwError(() => new Error('no stream is left in the script'));
      },
      list: ({ values, revision, arrived }: ListOptions) => {
        asked.push(
          `${scheduler.now()} list ${values ? 'values' : 'keys'}${revision === 0n ? '' : ` at ${revision}`}`,
        );
        const list = lists.shift() ?? throwError(() => new Error('no list is left in the script'));
        return list.pipe(tap(({ kvs }) => arrived?.(kvs)));
      },
    };
    const watch$ = resumingWatch(
      source,
      new KeyNamespace(''),
      { ...base, ...script.options },
      schedulerRuntime(scheduler),
    );
    const subscription = watch$.subscribe({
      next: (signal) => told.push(`${scheduler.now()} ${tell(signal)}`),
      error: (error: ConclaveError) => told.push(`${scheduler.now()} error ${error.code}`),
      complete: () => told.push(`${scheduler.now()} complete`),
    });
    scheduler.schedule(
      () => subscription.unsubscribe(),
      script.until === undefined ? 500 : script.until.length,
    );
  });
  return { told, asked };
}

describe('resuming watch', () => {
  it('delivers revision by revision', () => {
    const { told, asked } = run({
      streams: ['c-x--y'],
      responses: {
        c: created(4n),
        x: events(put('a', 5n), del('b', 5n)),
        y: events(put('a', 6n, 5n), put('c', 7n)),
      },
    });
    expect(asked).toEqual(['0 open 5']);
    expect(told).toEqual(['0 live', '2 5: +a -b', '5 6: +a', '5 7: +c']);
  });

  it('P24 reconnects after a pause and resumes at the last delivered revision + 1, not at the header', () => {
    const { told, asked } = run({
      streams: ['c-x-#', 'c-y'],
      responses: { c: created(2_501n), x: events(put('a', 5n)), y: events(put('a', 9n)) },
    });
    expect(asked).toEqual(['0 open 5', '9 open 6']);
    expect(told).toEqual(['0 live', '2 5: +a', '4 stale unavailable', '9 live', '11 9: +a']);
  });

  it('P24 resumes at the same revision when the stream is lost before anything was delivered', () => {
    const { asked } = run({ streams: ['c-#', '#', 'c'], responses: { c: created(2_501n) } });
    expect(asked).toEqual(['0 open 5', '7 open 5', '17 open 5']);
  });

  it('P24 begins just after the list, so that nothing falls between the question and the first event', () => {
    const { asked } = run({
      streams: ['c'],
      lists: ['--(l|)'],
      listings: { l: listing(41n, {}) },
      responses: { c: created(45n) },
      options: { fromRevision: undefined },
    });
    expect(asked).toEqual(['0 list keys', '2 open 42']);
  });

  it('waits longer after each failure, and starts again with short pauses after a delivery', () => {
    const { asked } = run({
      streams: ['#', '#', '#', '#', 'x#', 'c'],
      responses: { c: created(9n), x: events(put('a', 5n)) },
    });
    expect(asked.map((line) => line.split(' ')[0])).toEqual(['0', '5', '15', '35', '55', '61']);
  });

  it('P25 never gives out part of a revision: an unfinished fragment is delivered whole after the resume', () => {
    const { told, asked } = run({
      streams: ['f-#', 'f-g'],
      responses: { f: fragment(put('a', 5n), put('b', 6n)), g: events(put('c', 6n), put('d', 7n)) },
    });
    expect(asked).toEqual(['0 open 5', '7 open 6']);
    expect(told).toEqual(['0 5: +a', '2 stale unavailable', '9 6: +b +c', '9 7: +d']);
  });

  it('P25 takes a progress report as a resume point, but not inside a fragment', () => {
    const { told, asked } = run({
      streams: ['c-p-#', 'fq#', 'd'],
      responses: {
        c: created(4n),
        d: created(40n),
        p: response({}, 30n),
        q: response({}, 39n),
        f: fragment(put('a', 31n)),
      },
      options: { progress: true },
    });
    expect(asked).toEqual(['0 open 5', '9 open 31', '21 open 31']);
    expect(told.slice(0, 2)).toEqual(['0 live', '2 30: ']);
  });

  it('delivers nothing twice when a server repeats itself', () => {
    const { told } = run({
      streams: ['x-y-x'],
      responses: { x: events(put('a', 5n)), y: events(put('a', 5n), put('a', 6n, 5n)) },
    });
    expect(told).toEqual(['0 5: +a', '2 6: +a']);
  });

  it('P27 lists after a compaction and tells the difference, deletes included', () => {
    const { told, asked } = run({
      streams: ['c-x-k', 'd-y'],
      lists: ['--(l|)'],
      listings: { l: listing(50n, { a: 5n, n: 44n, r: 30n }) },
      responses: {
        c: created(4n),
        d: created(50n),
        x: events(put('a', 5n), put('g', 5n), put('r', 5n)),
        k: response({ canceled: true, compact_revision: 40n }, 0n),
        y: events(del('n', 51n)),
      },
      options: { trackKeys: true, baseline: KnownKeys.named([Buffer.from('old')]) },
    });
    expect(asked).toEqual(['0 open 5', '4 list values', '6 open 51']);
    expect(told).toEqual([
      '0 live',
      '2 5: +a +g +r',
      '4 stale unavailable',
      '6 50 resync: -old -g +n +r',
      '6 live',
      '8 51: -n',
    ]);
  });

  it('P27 says that a batch is complete when it cannot know what was there before', () => {
    const { told } = run({
      streams: ['k', 'c'],
      lists: ['(l|)'],
      listings: { l: listing(50n, { a: 45n }) },
      responses: {
        k: response({ created: true, canceled: true, compact_revision: 40n }, 0n),
        c: created(50n),
      },
    });
    expect(told).toEqual(['0 stale unavailable', '0 50 resync!: +a', '0 live']);
  });

  it('takes `created` and `canceled` in one response as the end', () => {
    const denied = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
    const { told } = run({
      streams: ['d'],
      responses: { d: response({ created: true, canceled: true, cancel_reason: denied }, 9n) },
    });
    expect(told).toEqual(['0 error unauthorized']);
  });

  it('opens again when the server cancels without a reason', () => {
    const { asked } = run({
      streams: ['k', 'c'],
      responses: { k: response({ canceled: true }, 9n), c: created(9n) },
    });
    expect(asked).toEqual(['0 open 5', '5 open 5']);
  });

  it('errors when going on is pointless', () => {
    expect(run({ streams: ['--#'], errors: { stream: new UnauthorizedError('no') } }).told).toEqual([
      '2 error unauthorized',
    ]);
  });

  it('tells a store with another cluster id apart, and leads over to its content', () => {
    const { told, asked } = run({
      streams: ['c-x-#', 'd', 'e'],
      lists: ['-(l|)'],
      listings: { l: listing(3n, { a: 2n, z: 3n }, 8n) },
      responses: {
        c: created(4n),
        x: events(put('a', 5n), put('b', 5n)),
        d: created(3n, 8n),
        e: created(3n, 8n),
      },
      options: { trackKeys: true, baseline: KnownKeys.named([]) },
    });
    expect(asked).toEqual(['0 open 5', '9 open 6', '9 list values', '10 open 4']);
    expect(told.at(-2)).toBe('10 3 store-replaced!: -b +a +z');
  });

  it('tells a store that went back in time apart from a member that lags', () => {
    const responses = {
      c: created(4n),
      x: events(put('a', 5n), put('b', 9n)),
      o: created(3n),
      n: created(9n),
    };
    const lagging = run({
      streams: ['c-x-#', 'o', 'n'],
      lists: ['-(l|)'],
      listings: { l: listing(9n, { a: 5n }) },
      responses,
    });
    expect(lagging.asked).toEqual(['0 open 5', '9 open 10', '9 list keys', '10 open 10']);
    expect(lagging.told.some((line) => line.includes('store-replaced'))).toBe(false);
    const restored = run({
      streams: ['c-x-#', 'o', 'n'],
      lists: ['-(l|)', '-(l|)'],
      listings: { l: listing(3n, { a: 3n }) },
      responses,
    });
    expect(restored.asked.slice(-2)).toEqual(['10 list values', '11 open 4']);
    expect(restored.told).toContain('11 3 store-replaced!: +a');
  });

  it('resyncs when the store below says that it was replaced', () => {
    const { told } = run({
      streams: ['c-#', 'c'],
      lists: ['(l|)'],
      listings: { l: listing(2n, { q: 2n }) },
      responses: { c: created(4n) },
      errors: { stream: new StoreReplacedError('other') },
    });
    expect(told).toContain('7 2 store-replaced!: +q');
  });

  it('begins with everything that exists when asked to', () => {
    const { told, asked } = run({
      streams: ['c-x'],
      lists: ['#', '-(l|)'],
      listings: { l: listing(20n, { a: 3n, b: 9n }) },
      responses: { c: created(20n), x: events(del('a', 21n)) },
      options: { initial: true, trackKeys: true },
    });
    expect(asked).toEqual(['0 list values', '5 list values', '6 open 21']);
    expect(told).toEqual(['0 stale unavailable', '6 20 initial!: +a +b', '6 live', '8 21: -a']);
  });

  it('asks once which keys exist before a given revision', () => {
    const { asked } = run({
      streams: ['c'],
      lists: ['-(l|)'],
      listings: { l: listing(4n, { a: 3n }) },
      responses: { c: created(9n) },
      options: { trackKeys: true },
    });
    expect(asked).toEqual(['0 list keys at 4', '1 open 5']);
  });

  it('delivers only the wanted kind, synthetic changes included', () => {
    const { told } = run({
      streams: ['k', 'c'],
      lists: ['(l|)'],
      listings: { l: listing(50n, { a: 45n }) },
      responses: { k: response({ canceled: true, compact_revision: 40n }, 0n), c: created(50n) },
      options: { puts: false, trackKeys: true, baseline: KnownKeys.named([Buffer.from('gone')]) },
    });
    expect(told).toContain('0 50 resync: -gone');
  });

  it('does nothing any more after an unsubscription: no timer, no stream, no list', () => {
    const early = run({ streams: ['c#', 'c'], responses: { c: created(9n) }, until: '---' });
    expect(early.asked).toEqual(['0 open 5']);
    const during = run({
      streams: ['c---x'],
      responses: { c: created(4n), x: events(put('a', 5n)) },
      until: '---',
    });
    expect(during.told).toEqual(['0 live']);
  });
});
