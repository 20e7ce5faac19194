import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DiskError, type Disk } from '../engine/platform/disk.js';
import { NodeDisk } from '../engine/platform/node-disk.js';
import { type MemberId } from '../engine/raft/message.js';
import { type StateFile } from '../engine/replica/peer-transport.js';
import { MalformedMessageError } from './byte-fields.js';
import { type GrpcPeerTransportOptions } from './grpc-peer-transport.js';
import { DamagedChunkError, decodeAnswer, decodePart, encodeChunk, encodeHeader } from './state-codec.js';
import { Line } from './testing/line.js';
import { TestMember } from './testing/test-member.js';

const waiting = { timeout: 20_000, interval: 5 };
const open: { remove?(): Promise<void>; close?(): Promise<void> }[] = [];
const confState = { voters: [1n, 2n], learners: [3n], outgoing: [], learnersNext: [], autoLeave: false };

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.remove?.() ?? one.close?.());
});

async function start(id: MemberId, overrides: Partial<GrpcPeerTransportOptions> = {}): Promise<TestMember> {
  const limits = { chunkBytes: 64 << 10, retryFirstMs: 1, retryLongestMs: 20, ...overrides.limits };
  const member = await TestMember.start(id, { ...overrides, limits });
  open.push(member);
  return member;
}

/** A sender, a receiver and the line between them. */
async function transfer(
  receiving: Partial<GrpcPeerTransportOptions> = {},
): Promise<{ a: TestMember; b: TestMember; wire: Line }> {
  const [a, b] = [await start(1n), await start(2n, receiving)];
  const wire = await Line.to(() => b.port);
  open.push(wire);
  a.transport.setPeers(new Map([[2n, [wire.url]]]));
  b.transport.setPeers(new Map([[1n, [a.url]]]));
  return { a, b, wire };
}

function stateOf(member: TestMember, bytes: number, index = 100): { state: StateFile; content: Buffer } {
  const content = randomBytes(bytes);
  const path = join(member.directory, `state-${index}`);
  writeFileSync(path, content);
  return { state: { index, term: 5, confState, path }, content };
}

function spoolsOf(member: TestMember): string[] {
  try {
    return readdirSync(member.spoolDirectory);
  } catch {
    return [];
  }
}

/** A disk whose writes fail, as a full one's do, once it holds more than `bytes`. */
function fullDisk(bytes: number): Disk {
  const disk = new NodeDisk();
  const { open: openFile } = disk;
  disk.open = async (path, mode) => {
    const file = await openFile.call(disk, path, mode);
    const { write } = file;
    file.write = (offset, data) =>
      offset + data.length > bytes
        ? Promise.reject(new DiskError('write', path, 'ENOSPC', offset))
        : write.call(file, offset, data);
    return file;
  };
  open.push({ close: () => disk.close() });
  return disk;
}

describe('a state that is sent to another member', () => {
  it('arrives whole, durable and with everything that raft needs of it', async () => {
    const { a, b } = await transfer();
    const { state, content } = stateOf(a, 1_000_001);
    await a.transport.sendState(2n, 7, state);
    expect(b.states).toEqual([
      {
        from: 1n,
        senderTerm: 7,
        index: 100,
        term: 5,
        confState,
        path: expect.stringContaining(b.spoolDirectory),
      },
    ]);
    expect(readFileSync(b.states[0]!.path).equals(content)).toBe(true);
    expect(spoolsOf(b)).toHaveLength(1);
    expect(a.metric('etcd_network_snapshot_send_success')).toBe(1);
    expect(b.metric('etcd_network_snapshot_receive_success')).toBe(1);
    expect(b.metric('etcd_snap_db_save_total_duration_seconds')).toBe(1);
    expect(b.metric('etcd_snap_db_fsync_duration_seconds')).toBe(1);
  });

  it('may be empty', async () => {
    const { a, b } = await transfer();
    await a.transport.sendState(2n, 7, stateOf(a, 0).state);
    expect(readFileSync(b.states[0]!.path)).toHaveLength(0);
  });

  it('goes on after every break where it was, instead of from the beginning', async () => {
    const { a, b, wire } = await transfer();
    const size = 24 << 20;
    const { state, content } = stateOf(a, size);
    let cutAt = 4 << 20;
    wire.onForward = () => {
      if (wire.forwarded < cutAt) return;
      cutAt += 8 << 20;
      wire.cut();
    };
    await a.transport.sendState(2n, 7, state);
    expect(readFileSync(b.states[0]!.path).equals(content)).toBe(true);
    expect(cutAt).toBeGreaterThan(12 << 20);
    // What was on its way at each break is sent again: at most the windows and buffers of a connection.
    expect(wire.forwarded).toBeLessThan(2 * size);
    expect(spoolsOf(b)).toHaveLength(1);
  });

  it('is checked chunk by chunk: a flipped bit is noticed, and the chunk sent again', async () => {
    const { a, b, wire } = await transfer();
    const { state, content } = stateOf(a, 3 << 20);
    let flipped = 0;
    wire.onForward = (chunk) => {
      if (flipped > 0 || wire.forwarded < 1 << 20 || chunk.length < 20_000) return;
      // Far from frame heads, which come every 16 KiB: somewhere in the payload of the state.
      const marker = content.indexOf(chunk.subarray(10_000, 10_016));
      if (marker < 0) return;
      chunk[10_000]! ^= 1;
      flipped++;
    };
    await a.transport.sendState(2n, 7, state);
    expect(flipped).toBe(1);
    expect(b.metric('etcd_network_peer_received_failures_total')).toBe(1);
    expect(readFileSync(b.states[0]!.path).equals(content)).toBe(true);
  });

  it('is refused when the disk of the receiver is full, and leaves nothing behind', async () => {
    const { a, b } = await transfer({ disk: fullDisk(500_000) });
    await expect(a.transport.sendState(2n, 7, stateOf(a, 2_000_000).state)).rejects.toThrow(/ENOSPC/);
    expect(b.states).toEqual([]);
    await vi.waitFor(() => expect(spoolsOf(b)).toEqual([]), waiting);
    expect(a.metric('etcd_network_snapshot_send_failures')).toBe(1);
    expect(b.defects).toEqual([]);
  });

  it('is refused by a member of another cluster, and by nobody at all', async () => {
    const { a } = await transfer({ clusterId: 0xbadn });
    const { state } = stateOf(a, 1_000);
    await expect(a.transport.sendState(2n, 7, state)).rejects.toThrow(/belongs to cluster bad/);
    await expect(a.transport.sendState(9n, 7, state)).rejects.toThrow(/no member 9/);
    a.transport.setPeers(new Map([[3n, ['http://127.0.0.1:1']]]));
    await expect(a.transport.sendState(3n, 7, state)).rejects.toThrow(/could not be sent to member 3/);
  });

  it('is not sent twice at once', async () => {
    const { a } = await transfer();
    const { state } = stateOf(a, 1_000_000);
    const first = a.transport.sendState(2n, 7, state);
    await expect(a.transport.sendState(2n, 7, state)).rejects.toThrow(/on its way to member 2 already/);
    await first;
    await a.transport.sendState(2n, 7, state);
  });

  it('fails when the file cannot be read or the sender closes, and the receiver drops what nobody continues', async () => {
    const { a, b, wire } = await transfer({ limits: { stateStallMs: 50 } });
    const missing = { index: 1, term: 1, confState, path: join(a.directory, 'missing') };
    await expect(a.transport.sendState(2n, 7, missing)).rejects.toThrow(/ENOENT/);
    wire.onForward = () => {
      if (wire.forwarded > 2 << 20) wire.silence();
    };
    const sending = a.transport.sendState(2n, 7, stateOf(a, 16 << 20).state);
    const failed = expect(sending).rejects.toThrow(/given up/);
    await vi.waitFor(() => expect(spoolsOf(b)).toHaveLength(1), waiting);
    await a.transport.close();
    wire.cut();
    await failed;
    await vi.waitFor(() => expect(spoolsOf(b)).toEqual([]), waiting);
    expect(b.states).toEqual([]);
  });

  it('is never held in memory: the sender waits for a receiver that does not read', async () => {
    const { a, wire } = await transfer();
    const size = 64 << 20;
    const { state } = stateOf(a, size);
    let read = 0;
    const { open: openFile } = a.disk;
    a.disk.open = async (path, mode) => {
      const file = await openFile.call(a.disk, path, mode);
      const { read: readFrom } = file;
      file.read = async (offset, length) => {
        read += length;
        return readFrom.call(file, offset, length);
      };
      return file;
    };
    wire.onForward = () => {
      if (wire.forwarded > 1 << 20) wire.silence();
    };
    const sending = a.transport.sendState(2n, 7, state).catch((error: unknown) => String(error));
    await vi.waitFor(() => expect(wire.forwarded).toBeGreaterThan(1 << 20), waiting);
    // The sender reads through the same disk thread: it stands still once it lets so many other requests pass.
    for (let idle = 0; idle < 50;) {
      const before = read;
      await a.disk.list(a.directory);
      idle = read === before ? idle + 1 : 0;
    }
    expect(read).toBeLessThan(size / 2);
    await a.transport.close();
    expect(await sending).toMatch(/given up/);
  });

  it('replaces an older one of an older leader, and is refused while that of a newer one comes', async () => {
    const [a, b, c] = [await start(1n), await start(2n), await start(3n)];
    const wire = await Line.to(() => b.port);
    open.push(wire);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    c.transport.setPeers(new Map([[2n, [b.url]]]));
    b.transport.setPeers(
      new Map([
        [1n, [a.url]],
        [3n, [c.url]],
      ]),
    );
    wire.onForward = () => {
      if (wire.forwarded > 1 << 20) wire.silence();
    };
    const slow = a.transport
      .sendState(2n, 7, stateOf(a, 16 << 20).state)
      .catch((error: unknown) => String(error));
    await vi.waitFor(() => expect(spoolsOf(b)).toHaveLength(1), waiting);
    const { state, content } = stateOf(c, 300_000, 200);
    await expect(c.transport.sendState(2n, 6, state)).rejects.toThrow(/member 1 is sending a state already/);
    await c.transport.sendState(2n, 8, state);
    expect(b.states.map(({ index }) => index)).toEqual([200]);
    expect(readFileSync(b.states[0]!.path).equals(content)).toBe(true);
    expect(spoolsOf(b)).toHaveLength(1);
    await a.transport.close();
    await slow;
  });
});

describe('spools', () => {
  it('of the last process are removed at start', async () => {
    const b = await start(2n);
    await b.transport.close();
    mkdirSync(b.spoolDirectory, { recursive: true });
    writeFileSync(join(b.spoolDirectory, '0000000000000064-00000000000000ab.part'), 'half a state');
    writeFileSync(
      join(b.spoolDirectory, '0000000000000065-00000000000000ac.state'),
      'a state that was not installed',
    );
    await b.open();
    expect(spoolsOf(b)).toEqual([]);
    expect(b.lines.some(({ message, files }) => /not received whole/.test(message) && files === 2)).toBe(
      true,
    );
  });
});

describe('the parts of a state on the wire', () => {
  const header = { transfer: 2n ** 64n - 1n, size: 10, senderTerm: 7, index: 100, term: 5, confState };

  it('give back what was sent', () => {
    expect(decodePart(encodeHeader(header))).toEqual({ kind: 'header', ...header });
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 100 }), (offset, data) => {
        const part = decodePart(encodeChunk(offset, data));
        expect(part.kind === 'chunk' && part.offset === offset && Buffer.from(data).equals(part.data)).toBe(
          true,
        );
      }),
    );
  });

  it('notice every flipped bit of a chunk, its place included', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.nat(),
        (offset, data, bit) => {
          const chunk = Buffer.from(encodeChunk(offset, data));
          const at = 8 + (bit % (8 * (chunk.length - 1)));
          chunk[at >> 3]! ^= 1 << (at & 7);
          expect(() => decodePart(chunk)).toThrow();
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('are refused without harm when they are anything else', () => {
    const attempt = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
      try {
        decode(bytes);
      } catch (error) {
        if (!(error instanceof MalformedMessageError || error instanceof DamagedChunkError)) throw error;
      }
    };
    const real = encodeHeader(header);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(), (bytes, bit) => {
        attempt(decodePart, bytes);
        attempt(decodeAnswer, bytes);
        const flipped = Buffer.from(real);
        flipped[(bit >> 3) % flipped.length]! ^= 1 << (bit & 7);
        attempt(decodePart, flipped);
      }),
      { numRuns: 3_000 },
    );
    const voterless = { ...header, confState: { ...confState, voters: [] } };
    expect(() => decodePart(encodeHeader(voterless))).toThrow(/without voters/);
  });
});
