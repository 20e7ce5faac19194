import { describe, expect, it } from 'vitest';
import { FrameType } from './frame.js';
import { type ConnectionOptions } from './options.js';
import { SettingId } from './settings.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

/** Every limit has a peer that goes up to it and is served, and one that goes beyond and is sent away. */

const CALM = 'ENHANCE_YOUR_CALM';

function server(options: ConnectionOptions): Harness {
  return new Harness('server', options).handshake();
}

/** Feeds the same octets `times` times, taking the output now and then as a transport would. */
function flood(peer: Harness, times: number, octets: (i: number) => Buffer): string[] {
  const frames: string[] = [];
  for (let i = 0; i < times; i++) {
    peer.feed(octets(i));
    frames.push(...peer.frames());
  }
  return frames;
}

const id = (i: number): number => 2 * i + 1;
const emptyContinuation = wire.frame(FrameType.CONTINUATION, 0, 1);
const invalid = wire.block(...wire.REQUEST_FIELDS, 'connection', 'x');

/** SETTINGS of the handshake count too, so their limit is one higher. */
const RATES: [title: string, options: ConnectionOptions, octets: (i: number) => Buffer, before: Buffer[]][] =
  [
    [
      'rapid reset',
      { maxPeerResets: 50 },
      (i) => Buffer.concat([wire.headers(id(i)), wire.rstStream(id(i), 8)]),
      [],
    ],
    [
      'RST_STREAM for closed streams',
      { maxPeerResets: 50 },
      () => wire.rstStream(1, 8),
      [wire.headers(1, wire.REQUEST, 5)],
    ],
    ['requests that are malformed', { maxLocalResets: 50 }, (i) => wire.headers(id(i), invalid), []],
    [
      'streams that break a rule after they began',
      { maxLocalResets: 50 },
      (i) => Buffer.concat([wire.headers(id(i)), wire.windowUpdate(id(i), 0)]),
      [],
    ],
    [
      'more streams than allowed',
      { maxLocalResets: 50, maxConcurrentStreams: 1 },
      (i) => wire.headers(id(i + 1)),
      [wire.headers(1)],
    ],
    [
      'data for streams that have ended',
      { maxLocalResets: 50 },
      (i) => Buffer.concat([wire.headers(id(i)), wire.rstStream(id(i), 8), wire.data(id(i), 'x')]),
      [],
    ],
    [
      'RST_STREAM for a stream that we reset',
      { maxPeerResets: 50 },
      () => wire.rstStream(1, 8),
      [wire.headers(1, invalid), wire.rstStream(1, 8)],
    ],
    [
      'DATA without octets for a stream that we reset',
      { maxEmptyFrames: 50 },
      () => wire.data(1, ''),
      [wire.headers(1, invalid)],
    ],
    ['PING', { maxPings: 50 }, () => wire.ping(), []],
    ['SETTINGS', { maxSettings: 51 }, () => wire.settings(), []],
    ['DATA without octets', { maxEmptyFrames: 50 }, () => wire.data(1, ''), [wire.headers(1)]],
    [
      'DATA with padding only',
      { maxEmptyFrames: 50 },
      () => wire.data(1, Buffer.alloc(9, 8), 0x8),
      [wire.headers(1)],
    ],
    ['WINDOW_UPDATE', { maxWindowUpdates: 50 }, () => wire.windowUpdate(0, 1), []],
    [
      'WINDOW_UPDATE for closed streams',
      { maxWindowUpdates: 50 },
      () => wire.windowUpdate(1, 1),
      [wire.headers(1), wire.rstStream(1, 8)],
    ],
    [
      'PRIORITY',
      { maxIgnoredFrames: 50 },
      (i) => wire.frame(FrameType.PRIORITY, 0, id(i), Buffer.alloc(5)),
      [],
    ],
    ['unknown frames', { maxIgnoredFrames: 50 }, () => wire.frame(0x42, 0, 0), []],
    ['unasked acknowledgements of PING', { maxIgnoredFrames: 50 }, () => wire.ping(1), []],
    ['unasked acknowledgements of SETTINGS', { maxIgnoredFrames: 50 }, () => wire.SETTINGS_ACK, []],
    ['GOAWAY', { maxIgnoredFrames: 50 }, () => wire.goaway(0, 0), []],
    [
      'CONTINUATION without octets',
      { maxContinuationFrames: 50 },
      () => emptyContinuation,
      [wire.headers(1, wire.REQUEST, 0)],
    ],
  ];

describe('a flood of', () => {
  it.each(RATES)('%s', (_title, options, octets, before) => {
    const peer = server(options).feed(...before);
    flood(peer, 50, octets);
    expect(peer.connection.isClosed).toBe(false);
    const frames = flood(peer, 1, () => octets(50));
    expect(frames.at(-1)).toMatch(new RegExp(`^GOAWAY \\d+ ${CALM}$`));
    expect(peer.log.at(-1)).toBe(`closed ${CALM} local`);
  });

  it.each(RATES.filter(([title]) => !title.startsWith('CONTINUATION')))(
    '%s is forgiven with time',
    (_title, options, octets, before) => {
      const peer = server({ ...options, rateIntervalMs: 1000 }).feed(...before);
      for (let round = 0; round < 3; round++) {
        flood(peer, 50, (i) => octets(round * 50 + i));
        peer.now += 1000;
      }
      expect(peer.connection.isClosed).toBe(false);
    },
  );

  it('interim answers to a client', () => {
    const client = new Harness('client', { maxEmptyFrames: 50 }).handshake();
    client.open(wire.REQUEST_FIELDS, true);
    const interim = wire.headers(1, wire.block(':status', '100'));
    flood(client, 50, () => interim);
    expect(client.connection.isClosed).toBe(false);
    expect(flood(client, 1, () => interim)).toContain(`GOAWAY 0 ${CALM}`);
  });
});

describe('what honest peers do is not counted', () => {
  it('pings and window updates that answer our frames', () => {
    const peer = server({ maxPings: 3, maxWindowUpdates: 3 }).feed(wire.headers(1));
    peer.connection.sendHeaders(peer.stream(1), [':status', '200'], false);
    for (let i = 0; i < 100; i++) {
      peer.connection.sendData(peer.stream(1), Buffer.from('event'), false);
      peer.feed(wire.ping(), wire.ping(), wire.windowUpdate(0, 5), wire.windowUpdate(1, 5));
      peer.frames();
    }
    expect(peer.connection.isClosed).toBe(false);
  });

  it('resets and data that cross our own reset', () => {
    const peer = server({ maxPeerResets: 3, maxLocalResets: 3 });
    peer.onHeaders = (stream) => peer.connection.sendHeaders(stream, [':status', '200'], true);
    flood(peer, 100, (i) =>
      Buffer.concat([wire.headers(id(i)), wire.data(id(i), 'late'), wire.rstStream(id(i), 8)]),
    );
    expect(peer.connection.isClosed).toBe(false);
  });

  it('streams beyond a limit that the peer cannot know yet', () => {
    const peer = new Harness('server', { maxConcurrentStreams: 1, maxLocalResets: 3 });
    peer.feed(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), wire.settings());
    const frames = flood(peer, 50, (i) => wire.headers(id(i)));
    expect(frames.filter((frame) => frame.endsWith('REFUSED_STREAM'))).toHaveLength(49);
    expect(peer.connection.isClosed).toBe(false);
  });
});

describe('sizes', () => {
  const large = (length: number): Buffer => wire.block(...wire.REQUEST_FIELDS, 'x', '~'.repeat(length));

  it('a header list that is too large resets its stream only', () => {
    const peer = server({ maxHeaderListBytes: 2048, maxHeaderBlockBytes: 65_536 });
    peer.feed(wire.headers(1, large(3000), 5), wire.headers(3, wire.REQUEST, 5));
    expect(peer.frames()).toEqual([`RST_STREAM 1 ${CALM}`]);
    expect(peer.log).toEqual(['headers 3 end']);
  });

  it('trailers that are too large reset their stream', () => {
    const peer = server({ maxHeaderListBytes: 2048 });
    peer.feed(wire.headers(1), wire.headers(1, wire.block('x', '~'.repeat(3000)), 5));
    expect(peer.log).toEqual(['headers 1', `reset 1 ${CALM} local`]);
  });

  it('a header block that is too large ends the connection, in one frame or in many', () => {
    const options = { maxHeaderBlockBytes: 2048 };
    expect(
      server(options)
        .feed(wire.headers(1, large(3000)))
        .frames(),
    ).toEqual([`GOAWAY 0 ${CALM}`]);
    const pieces = [
      wire.headers(1, large(1500).subarray(0, 1500), 0),
      wire.frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(1000)),
    ];
    expect(
      server(options)
        .feed(...pieces)
        .frames(),
    ).toEqual([`GOAWAY 0 ${CALM}`]);
  });

  it('streams above MAX_CONCURRENT_STREAMS are refused, and taken again when others have ended', () => {
    const peer = server({ maxConcurrentStreams: 2 });
    peer.feed(
      wire.headers(1, wire.REQUEST, 5),
      wire.headers(3, wire.REQUEST, 5),
      wire.headers(5, wire.REQUEST, 5),
    );
    expect(peer.frames()).toEqual(['RST_STREAM 5 REFUSED_STREAM']);
    expect(peer.connection.openStreams).toBe(2);
    peer.connection.sendHeaders(peer.stream(1), [':status', '200'], true);
    // The peer cannot know that a stream has ended before we have written it.
    peer.feed(wire.headers(7, wire.REQUEST, 5));
    expect(peer.frames()).toEqual(['HEADERS 1 END', 'RST_STREAM 7 REFUSED_STREAM']);
    peer.feed(wire.headers(9, wire.REQUEST, 5));
    expect(peer.log.at(-1)).toBe('headers 9 end');
  });

  it('a SETTINGS frame with thousands of entries costs one change of the windows', () => {
    const peer = server({}).feed(wire.headers(1));
    const entries = Array.from({ length: 2700 }, (_, i): [number, number] => [
      SettingId.INITIAL_WINDOW_SIZE,
      i * 790_000,
    ]);
    peer.feed(wire.settings(...entries));
    expect(peer.stream(1).sendWindow).toBe(2699 * 790_000);
  });
});

describe('a peer that never reads', () => {
  it('is cut off when too many acknowledgements wait', () => {
    const peer = server({ maxControlOutput: 2000, maxPings: 1_000_000 });
    for (let i = 0; i < 200 && !peer.connection.isClosed; i++) peer.feed(wire.ping());
    expect(peer.log).toEqual([`closed ${CALM} local`]);
    expect(peer.take().length).toBeLessThan(2200);
  });

  it('cannot make us queue more answers than it may have streams', () => {
    const peer = server({ maxConcurrentStreams: 10, maxLocalResets: 1_000_000, maxControlOutput: 1_000_000 });
    peer.onHeaders = (stream) => peer.connection.sendHeaders(stream, [':status', '200'], true);
    for (let i = 0; i < 1000; i++) peer.feed(wire.headers(id(i), wire.REQUEST, 5));
    expect(peer.frames().filter((frame) => frame.startsWith('HEADERS'))).toHaveLength(10);
  });
});

describe('ping strikes', () => {
  const strict = { minPingIntervalMs: 5000 };

  it('two pings too early are forgiven, the third ends the connection', () => {
    const peer = server(strict);
    for (let i = 0; i < 3; i++) expect(peer.feed(wire.ping()).frames()).toEqual(['PING ACK']);
    const frames = wire.parseFrames(peer.feed(wire.ping()).take());
    expect(wire.describeFrame(frames[0])).toBe(`GOAWAY 0 ${CALM}`);
    expect(frames[0].payload.subarray(8).toString()).toBe('too_many_pings');
  });

  it('pings at the permitted interval are no strikes', () => {
    const peer = server(strict);
    for (let i = 0; i < 20; i++) {
      peer.feed(wire.ping());
      peer.now += 5000;
    }
    expect(peer.connection.isClosed).toBe(false);
  });

  it('are forgotten whenever we send HEADERS or DATA', () => {
    const peer = server(strict);
    for (let i = 0; i < 20; i++) {
      peer.feed(wire.headers(id(i), wire.REQUEST, 5), wire.ping(), wire.ping(), wire.ping());
      peer.connection.sendHeaders(peer.stream(id(i)), [':status', '200'], true);
      peer.frames();
    }
    expect(peer.connection.isClosed).toBe(false);
  });

  it('without streams the interval is two hours, when pings without streams are not permitted', () => {
    const peer = server({ ...strict, permitPingWithoutStreams: false });
    for (let i = 0; i < 4; i++) {
      peer.feed(wire.ping());
      peer.now += 6000;
    }
    expect(peer.log).toEqual([`closed ${CALM} local`]);
    const busy = server({ ...strict, permitPingWithoutStreams: false }).feed(wire.headers(1));
    for (let i = 0; i < 4; i++) {
      busy.feed(wire.ping());
      busy.now += 6000;
    }
    expect(busy.connection.isClosed).toBe(false);
  });
});
