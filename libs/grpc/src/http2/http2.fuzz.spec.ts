import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assert } from './assert.js';
import { CLIENT_PREFACE, FrameType } from './frame.js';
import { SettingId } from './settings.js';
import { Harness } from './testing/harness.js';
import { TestRandom } from './testing/random.js';
import * as wire from './testing/wire.js';

/** Runs and frames per run; the whole takes a few seconds. */
const RUNS = 400;
const FRAMES = 60;

/** Frames that met a living connection, over all runs. */
let lived = 0;

const LIMITS = {
  maxConcurrentStreams: 20,
  maxQueuedBytes: 300_000,
  maxControlOutput: 4_000,
  initialWindowSize: 30_000,
  connectionWindowSize: 100_000,
};

const BLOCKS = [
  wire.REQUEST,
  wire.RESPONSE,
  wire.TRAILERS,
  wire.block(...wire.REQUEST_FIELDS, 'content-length', '3'),
  wire.block(':status', '100'),
  wire.block(...wire.REQUEST_FIELDS, 'x', '~'.repeat(2000)),
  Buffer.from('4001610162be', 'hex'),
  Buffer.alloc(0),
];

/** Writes frames that are mostly in order: streams that are open, known blocks, lengths that fit. */
class FrameSource {
  private next = 1;
  private stray = false;

  constructor(
    private readonly random: TestRandom,
    private readonly peer: Harness,
  ) {}

  frame(): Buffer {
    const { random } = this;
    this.stray = random.oneIn(100);
    const id = this.streamId();
    const octets = random.bytes(random.pick([0, 1, 4, 8, 100, 3000]));
    if (this.stray) return wire.frame(random.below(14), random.below(256), id, octets);
    if (id === 0) return this.peer.role === 'server' ? this.headers(0) : wire.ping(0, random.bytes(8));
    switch (random.below(9)) {
      case 0:
      case 1:
        return this.headers(id);
      case 2:
      case 3:
        return wire.data(id, octets, random.oneIn(6) ? 1 : 0);
      case 4:
        return wire.data(id, Buffer.concat([Buffer.of(octets.length >>> 1), octets]), 8);
      case 5:
        return wire.windowUpdate(
          random.oneIn(3) ? 0 : id,
          random.pick([1, 10, 5000, random.oneIn(30) ? 0 : 9]),
        );
      case 6:
        return random.oneIn(3)
          ? wire.rstStream(id, random.below(16))
          : wire.frame(FrameType.PRIORITY, 0, id, random.bytes(5));
      case 7:
        return wire.settings([
          random.pick([1, 3, 4, 6]),
          random.pick([0, 1, 100, 16_384, 65_535, 1_000_000]),
        ]);
      default:
        return random.oneIn(3) ? wire.SETTINGS_ACK : wire.ping(random.below(2), random.bytes(8));
    }
  }

  /** A stream that has been used; on a server without any, the next one. */
  private streamId(): number {
    const { random } = this;
    if (this.stray) return random.below(40);
    const known = [...this.peer.byId.keys()];
    return known.length > 0 ? random.pick(known) : 0;
  }

  private headers(id: number): Buffer {
    const { random } = this;
    const flags = random.pick([4, 5]);
    if (this.peer.role === 'client')
      return wire.headers(id, random.pick([wire.RESPONSE, wire.TRAILERS, random.pick(BLOCKS)]), flags);
    if (id > 0 && random.oneIn(4)) return wire.headers(id, random.pick(BLOCKS), 5);
    const opened = this.next;
    this.next += random.oneIn(20) ? 4 : 2;
    if (!random.oneIn(4)) return wire.headers(opened, wire.REQUEST, flags);
    const octets = random.pick(BLOCKS);
    const cut = random.below(octets.length + 1);
    return Buffer.concat([
      wire.headers(opened, octets.subarray(0, cut), flags & 1),
      wire.frame(FrameType.CONTINUATION, 4, opened, octets.subarray(cut)),
    ]);
  }
}

/** What an application does at random with the streams that it knows. */
function act(random: TestRandom, peer: Harness): void {
  const { connection } = peer;
  if (peer.role === 'client' && connection.canOpenStream && random.oneIn(3))
    peer.open(wire.REQUEST_FIELDS, random.oneIn(2));
  const stream = random.pick([...peer.byId.values()]);
  if (stream === undefined) return;
  const { unconsumed } = stream;
  switch (random.below(7)) {
    case 0:
      if (peer.role === 'server' && !stream.headersSent)
        connection.sendHeaders(stream, [':status', '200'], random.oneIn(4));
      break;
    case 1:
      if (stream.headersSent)
        connection.sendData(stream, Buffer.alloc(random.below(40_000)), random.oneIn(5));
      break;
    case 2:
      if (stream.headersSent) connection.sendTrailers(stream, ['grpc-status', '0']);
      break;
    case 3:
      connection.consumed(stream, stream.closed ? unconsumed : random.below(unconsumed + 1));
      break;
    case 4:
      if (random.oneIn(4)) connection.reset(stream, random.below(14));
      break;
    case 5:
      if (random.oneIn(30)) connection.drain();
      break;
    default:
      connection.ping();
  }
}

/** What must hold at any time, whatever the peer sends. */
function check(peer: Harness): void {
  const { connection } = peer;
  let queued = 0;
  connection.forEachStream((stream) => {
    queued += stream.queuedBytes;
    assert(!stream.closed, 'only open streams are listed');
  });
  assert(connection.queuedBytes === queued, 'the queued octets are counted');
  assert(queued <= LIMITS.maxQueuedBytes + 40_000, 'the queued octets are bounded');
  assert(
    peer.role === 'client' || connection.openStreams <= LIMITS.maxConcurrentStreams,
    'the streams are bounded',
  );
  const closed = peer.log.filter((entry) => entry.startsWith('closed')).length;
  assert(closed === (connection.isClosed ? 1 : 0), 'the end is reported once');
}

/** One run. Returns a digest of all events and output. */
function run(seed: number): string {
  const random = new TestRandom(seed);
  const peer = new Harness(random.oneIn(2) ? 'server' : 'client', LIMITS);
  const source = new FrameSource(random, peer);
  const transcript = createHash('sha1');
  peer.autoConsume = random.oneIn(2);
  if (peer.role === 'server' && !random.oneIn(50)) peer.feed(CLIENT_PREFACE);
  if (!random.oneIn(50)) peer.feed(wire.settings([SettingId.MAX_FRAME_SIZE, 16_384]));
  let skip = peer.role === 'client' ? CLIENT_PREFACE.length : 0;
  let ended = 0;
  for (let i = 0; i < FRAMES; i++) {
    const octets = random.oneIn(150) ? random.bytes(random.below(60)) : Buffer.from(source.frame());
    if (random.oneIn(100) && octets.length > 0) octets[random.below(octets.length)] = random.below(256);
    const cut = random.below(octets.length + 1);
    peer.feed(octets.subarray(0, cut)).feed(octets.subarray(cut));
    act(random, peer);
    peer.now += random.below(50);
    check(peer);
    if (peer.connection.isClosed) ended++;
    if (random.oneIn(4)) continue;
    const output = peer.take();
    expect(output.length).toBeLessThan(400_000);
    if (output.length > 0) {
      transcript.update(wire.parseFrames(output.subarray(skip)).map(wire.describeFrame).join());
      skip = 0;
    }
  }
  lived += FRAMES - ended;
  return transcript.update(peer.log.join()).digest('hex');
}

describe('arbitrary and mutated frames', () => {
  it('never throw, never loop, stay within the limits, and give the same result every time', () => {
    const digests = new Set<string>();
    for (let seed = 1; seed <= RUNS; seed++) {
      const digest = run(seed);
      if (seed % 20 === 0) expect(run(seed)).toBe(digest);
      digests.add(digest);
    }
    // The runs differ, and most frames met a living connection.
    expect(lived).toBeGreaterThan(RUNS * FRAMES * 0.5);
    expect(digests.size).toBeGreaterThan(RUNS * 0.9);
  });

  it('octets without any structure end the connection', () => {
    const random = new TestRandom(77);
    for (let i = 0; i < 200; i++) {
      const server = new Harness('server', LIMITS).feed(CLIENT_PREFACE, random.bytes(500));
      expect(server.connection.isClosed || server.log.length === 0).toBe(true);
    }
  });
});

/** Two connections talk, each acting at random within the rules: nothing that one sends may displease the other. */
function converse(seed: number): { opened: number; trailers: number } {
  const random = new TestRandom(seed);
  const options = (): typeof LIMITS => ({
    ...LIMITS,
    initialWindowSize: random.pick([100, 5_000, 60_000, 200_000]),
    maxControlOutput: 1_000_000,
  });
  const client = new Harness('client', options());
  const server = new Harness('server', options());
  for (let i = 0; i < 150; i++) {
    for (const [from, to] of [[client, server] as const, [server, client] as const]) {
      if (random.oneIn(3)) act(random, from);
      const octets = from.take();
      for (let position = 0; position < octets.length;) {
        const end = position + 1 + random.below(5_000);
        to.feed(octets.subarray(position, end));
        position = end;
      }
    }
  }
  for (const peer of [client, server]) {
    expect(peer.closeReason).toBeUndefined();
    const faults = peer.log.filter(
      (entry) => /reset .* local/.test(entry) && !entry.includes('ENHANCE_YOUR_CALM'),
    );
    expect(faults).toEqual([]);
  }
  const all = [...client.log, ...server.log];
  return { opened: client.byId.size, trailers: all.filter((entry) => entry.startsWith('trailers')).length };
}

describe('two connections', () => {
  it("never break a rule in each other's eyes", () => {
    let opened = 0;
    let trailers = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const result = converse(seed);
      opened += result.opened;
      trailers += result.trailers;
    }
    expect(opened).toBeGreaterThan(1000);
    expect(trailers).toBeGreaterThan(100);
  });
});
