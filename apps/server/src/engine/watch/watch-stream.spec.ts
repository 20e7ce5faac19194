import { etcdserverpb, mvccpb, ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { WatchBench } from './testing/watch-bench.js';
import { type WatchClient } from './testing/watch-client.js';

const { NOPUT, NODELETE } = etcdserverpb.WatchCreateRequest_FilterType;
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Responses in short: id, what they say, and their events as key@mod_revision (deletes with a minus). */
function shown(client: WatchClient): string[] {
  return client.received.splice(0).map((response) => {
    const parts = [`${response.watch_id}`, `r${response.header?.revision}`];
    if (response.created) parts.push('created');
    if (response.canceled) parts.push('canceled');
    if (response.compact_revision !== 0n) parts.push(`compacted ${response.compact_revision}`);
    if (response.cancel_reason !== '') parts.push(`(${response.cancel_reason})`);
    if (response.fragment) parts.push('fragment');
    for (const { type, kv } of response.events) {
      const sign = type === mvccpb.Event_EventType.DELETE ? '-' : '';
      parts.push(`${sign}${kv?.key.toString('latin1')}@${kv?.mod_revision}`);
    }
    return parts.join(' ');
  });
}

describe('creating a watch', () => {
  it('gives ids 0, 1, 2 and skips those in use; 0 asks for one', () => {
    const client = new WatchBench().open();
    client.create({ key: bytes('a') });
    client.create({ key: bytes('a'), watch_id: 1n });
    client.create({ key: bytes('a') });
    client.create({ key: bytes('a'), watch_id: -7n });
    client.create({ key: bytes('a'), watch_id: 2n ** 62n });
    expect(shown(client)).toEqual([
      '0 r1 created',
      '1 r1 created',
      '2 r1 created',
      '-7 r1 created',
      `${2n ** 62n} r1 created`,
    ]);
  });

  it('refuses an id in use, an empty range and a negative start with id -1', () => {
    const client = new WatchBench().open();
    client.create({ key: bytes('a'), watch_id: 5n });
    client.create({ key: bytes('b'), watch_id: 5n });
    client.create({ key: bytes('b'), range_end: bytes('b') });
    client.create({ key: bytes('b'), range_end: bytes('a') });
    client.create({ key: bytes('b'), start_revision: -1n });
    expect(shown(client)).toEqual([
      '5 r1 created',
      '-1 r1 created canceled (mvcc: duplicate watch ID provided on the WatchStream)',
      '-1 r1 created canceled (mvcc: watcher range is empty)',
      '-1 r1 created canceled (mvcc: watcher range is empty)',
      '-1 r1 created canceled (etcdserver: mvcc: required revision has been compacted)',
    ]);
  });

  it('keeps the id of a compacted watch taken until it is canceled, as etcd does', () => {
    const bench = new WatchBench();
    bench.put('a');
    bench.put('a');
    bench.compact(3);
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: 2n });
    bench.catchUp();
    client.create({ key: bytes('a') });
    client.cancel(0n);
    client.cancel(0n);
    client.create({ key: bytes('a'), watch_id: 1n });
    expect(shown(client)).toEqual([
      '0 r3 created',
      '0 r0 canceled compacted 3',
      '1 r3 created',
      '0 r3 canceled',
      '-1 r3 created canceled (mvcc: duplicate watch ID provided on the WatchStream)',
    ]);
  });

  it('forgets the ids of compacted watches that nobody cancels, after very many', () => {
    const bench = new WatchBench();
    bench.put('a');
    bench.put('a');
    bench.compact(3);
    const client = bench.open();
    for (let at = 0; at < 1_200; at++) client.create({ key: bytes('a'), start_revision: 2n });
    bench.catchUp();
    expect(shown(client)).toHaveLength(2_400);
    client.cancel(0n);
    client.cancel(1_199n);
    expect(shown(client)).toEqual(['1199 r3 canceled']);
  });

  it('watches everything for an empty key up to \\0, and from a key on for a range_end of \\0', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes(''), range_end: bytes('\0') });
    client.create({ key: bytes('b'), range_end: bytes('\0') });
    client.create({ key: bytes('') });
    bench.put('a');
    bench.put('\xff');
    bench.put('\0');
    expect(shown(client).slice(3)).toEqual([
      '0 r2 a@2',
      '0 r3 \xff@3',
      '1 r3 \xff@3',
      '2 r4 \0@4',
      '0 r4 \0@4',
    ]);
  });

  it('asks for permission with the raw request, once', () => {
    const asked: string[] = [];
    const bench = new WatchBench();
    const client = bench.open({
      authorize: (request) => {
        asked.push(`${request.key}..${request.range_end.toString('hex')}`);
        return request.range_end.length > 0 ? ProtocolError.of('PermissionDenied') : undefined;
      },
    });
    client.create({ key: bytes('a'), range_end: bytes('\0') });
    client.create({ key: bytes('a') });
    bench.put('a');
    expect(asked).toEqual(['a..00', 'a..']);
    expect(shown(client)).toEqual([
      '-1 r1 created canceled (rpc error: code = PermissionDenied desc = etcdserver: permission denied)',
      '0 r1 created',
      '0 r2 a@2',
    ]);
  });

  it('below the compact revision is created, then canceled; at it, it works', () => {
    const bench = new WatchBench();
    for (let at = 0; at < 4; at++) bench.put('a');
    bench.compact(4);
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: 3n });
    client.create({ key: bytes('a'), start_revision: 4n });
    bench.catchUp();
    expect(shown(client)).toEqual([
      '0 r5 created',
      '0 r0 canceled compacted 4',
      '1 r5 created',
      '1 r5 a@4 a@5',
    ]);
    expect(bench.hub.stats).toMatchObject({ watchers: 1, slowWatchers: 0 });
  });
});

describe('canceling a watch', () => {
  it('is answered, stops its events and leaves the others; an unknown id is ignored', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a') });
    client.create({ key: bytes('a') });
    client.cancel(0n);
    client.cancel(9n);
    bench.put('a');
    expect(shown(client)).toEqual(['0 r1 created', '1 r1 created', '0 r1 canceled', '1 r2 a@2']);
  });

  it('of a whole stream ends its timer and everything else of it', () => {
    const bench = new WatchBench();
    const client = bench.open({ capacity: 1 });
    client.create({ key: bytes('a'), progress_notify: true });
    bench.put('a');
    expect(bench.clock.timers).toBe(1);
    client.stream.close();
    client.stream.close();
    client.drain();
    bench.put('a');
    bench.catchUp();
    expect(bench.clock.timers).toBe(0);
    expect(bench.hub.stats).toMatchObject({ watchers: 0, streams: 0, slowWatchers: 0 });
    expect(shown(client)).toEqual(['0 r1 created']);
  });
});

describe('events', () => {
  it('of one revision are one response, in order of their position', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a'), range_end: bytes('z') });
    bench.put('c', 'a', 'b');
    bench.put('zz');
    bench.delete('a', 'c');
    expect(shown(client)).toEqual(['0 r1 created', '0 r2 c@2 a@2 b@2', '0 r4 -a@4 -b@4']);
  });

  it('of a delete carry the key and the revision only', () => {
    const bench = new WatchBench();
    bench.put('a');
    const client = bench.open();
    client.create({ key: bytes('a') });
    bench.delete('a');
    const { events } = client.received[1];
    const kv = mvccpb.KeyValue.create({ key: bytes('a'), mod_revision: 3n });
    expect(events).toEqual([{ type: mvccpb.Event_EventType.DELETE, kv, prev_kv: undefined }]);
  });

  it('are filtered, and a response without any left is not sent', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a'), filters: [NOPUT] });
    client.create({ key: bytes('a'), filters: [NODELETE] });
    client.create({ key: bytes('a'), filters: [NOPUT, NODELETE] });
    bench.put('a');
    bench.delete('a');
    expect(shown(client).slice(3)).toEqual(['1 r2 a@2', '0 r3 -a@3']);
  });

  it('carry the previous value when asked: none for a create, none once it is compacted', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a'), prev_kv: true });
    client.create({ key: bytes('a') });
    bench.put('a');
    bench.put('a');
    bench.delete('a');
    bench.put('a');
    const previous = (of: WatchClient, id: bigint): string[] =>
      of.received
        .filter((response) => response.watch_id === id)
        .flatMap(({ events }) =>
          events.map(({ prev_kv: kv }) => (kv === undefined ? '-' : `v${kv.version}`)),
        );
    expect(previous(client, 0n)).toEqual(['-', 'v1', 'v2', '-']);
    expect(previous(client, 1n)).toEqual(['-', '-', '-', '-']);
    bench.put('a');
    bench.compact(6);
    const late = bench.open();
    late.create({ key: bytes('a'), prev_kv: true, start_revision: 6n });
    bench.catchUp();
    expect(previous(late, 0n)).toEqual(['-']);
  });

  it('are split into fragments only if asked for, and only between events', () => {
    const bench = new WatchBench({ fragmentBytes: 120 });
    const client = bench.open({ framed: true });
    client.create({ key: bytes('a'), range_end: bytes('z'), fragment: true });
    client.create({ key: bytes('a'), range_end: bytes('z') });
    bench.put('a', 'b', 'c', 'd', 'e');
    expect(shown(client).slice(2)).toEqual([
      '0 r2 fragment a@2 b@2 c@2',
      '0 r2 d@2 e@2',
      '1 r2 a@2 b@2 c@2 d@2 e@2',
    ]);
  });

  it('are split from the very size on that is given', () => {
    for (const [fragmentBytes, responses] of [
      [144, 2],
      [145, 1],
    ]) {
      const bench = new WatchBench({ fragmentBytes });
      const client = bench.open();
      client.create({ key: bytes('a'), range_end: bytes('z'), fragment: true });
      bench.put('a', 'b', 'c', 'd', 'e');
      const sent = client.received.slice(1);
      expect(sent.length).toBe(responses);
      if (responses === 1) expect(etcdserverpb.WatchResponse.encode(sent[0]).finish().length).toBe(144);
    }
  });

  it('of many revisions share responses while catching up, at most a thousand each', () => {
    const bench = new WatchBench();
    for (let at = 0; at < 2500; at++) bench.put('a');
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: 1n });
    bench.catchUp();
    const sizes = client.received.slice(1).map(({ events }) => events.length);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(2500);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
    expect(client.received.at(-1)?.header?.revision).toBe(2501n);
  });
});

describe('progress', () => {
  it('is reported when nothing was sent in the interval, and only for watches that asked', () => {
    const bench = new WatchBench({ progressIntervalMs: 1000 });
    const client = bench.open();
    client.create({ key: bytes('a'), progress_notify: true });
    client.create({ key: bytes('a') });
    bench.put('b');
    bench.clock.advance(999);
    expect(shown(client)).toEqual(['0 r1 created', '1 r1 created']);
    bench.clock.advance(1);
    expect(shown(client)).toEqual(['0 r2']);
    bench.put('a');
    bench.clock.advance(1000);
    expect(shown(client)).toEqual(['0 r3 a@3', '1 r3 a@3']);
    bench.clock.advance(1000);
    expect(shown(client)).toEqual(['0 r3']);
  });

  it('comes after up to a tenth of the interval more', () => {
    const bounds: number[] = [];
    const random = {
      below: (bound: number) => {
        bounds.push(bound);
        return bound - 1;
      },
      uint64: () => 0n,
    };
    const bench = new WatchBench({ progressIntervalMs: 1000, random });
    const client = bench.open();
    client.create({ key: bytes('a'), progress_notify: true });
    bench.clock.advance(1099);
    expect(shown(client)).toEqual(['0 r1 created']);
    bench.clock.advance(1);
    expect(shown(client)).toEqual(['0 r1']);
    expect(bounds).toEqual([101, 101]);
  });

  it('on request is one response for the stream, and none without watches', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.requestProgress();
    client.create({ key: bytes('a') });
    client.create({ key: bytes('b') });
    bench.put('c');
    client.requestProgress();
    expect(shown(client)).toEqual(['0 r1 created', '1 r1 created', '-1 r2']);
  });
});
