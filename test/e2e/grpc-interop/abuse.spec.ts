import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorCode, GrpcChannel } from '@conclave/grpc';
import { Attacker, Frame, frame, headerBlock, integers, preface, request } from './attacker.js';
import { startServer, type TestServer } from './servers.js';

/** What a connection of an attacker may cost at most, octets. */
const memoryMax = 64 * 1024 * 1024;

let server: TestServer;
let witness: GrpcChannel;

beforeAll(async () => {
  server = await startServer(
    { handshakeTimeoutMs: 400, headersTimeoutMs: 400, keepaliveIntervalMs: 60_000 },
    { handshakeTimeoutMs: 400 },
  );
  witness = new GrpcChannel({ target: { host: '127.0.0.1', port: server.port.local.port } });
  await witness.connect();
});

afterAll(async () => {
  await witness.close();
  await server.close();
  expect(server.observed.defects).toEqual([]);
});

function memoryInUse(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** Another connection is served while `attack` goes on, and memory stays bounded. */
async function withWitness<T>(attack: () => Promise<T>): Promise<T> {
  const before = memoryInUse();
  let isOver = false;
  let answers = 0;
  const probe = (async () => {
    do {
      const { message } = await witness.unary('/interop.T/Echo', Buffer.from('alive'), { timeoutMs: 5_000 });
      expect(Buffer.from(message).toString()).toBe('alive');
      answers++;
      expect(memoryInUse() - before).toBeLessThan(memoryMax);
    } while (!isOver);
  })();
  const result = await attack().finally(() => {
    isOver = true;
  });
  await probe;
  expect(answers).toBeGreaterThan(0);
  return result;
}

async function attack(...attacks: ((attacker: Attacker) => void | Promise<void>)[]): Promise<Attacker> {
  const attacker = await Attacker.connect(server.port.local.port);
  attacker.write(preface, frame(Frame.SETTINGS, 0, 0));
  for (const step of attacks) await step(attacker);
  return attacker;
}

const echoBlock = request('/interop.T/Echo');
const waitBlock = request('/interop.T/Wait');
const oneEmptyMessage = Buffer.from([0, 0, 0, 0, 0]);

describe('a connection that abuses HTTP/2 is closed, and no other notices', () => {
  it.each([
    [
      'rapid reset',
      (attacker: Attacker) =>
        attacker.flood(20_000, (i) => [
          frame(Frame.HEADERS, 4, 2 * i + 1, waitBlock),
          frame(Frame.RST_STREAM, 0, 2 * i + 1, integers(ErrorCode.CANCEL)),
        ]),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of CONTINUATION',
      async (attacker: Attacker) => {
        attacker.write(frame(Frame.HEADERS, 0, 1, echoBlock));
        await attacker.flood(20_000, () => [frame(Frame.CONTINUATION, 0, 1, headerBlock('x', 'y'))]);
      },
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of empty CONTINUATION',
      async (attacker: Attacker) => {
        attacker.write(frame(Frame.HEADERS, 0, 1, echoBlock));
        await attacker.flood(20_000, () => [frame(Frame.CONTINUATION, 0, 1)]);
      },
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of PING',
      (attacker: Attacker) => attacker.flood(50_000, (i) => [frame(Frame.PING, 0, 0, integers(0, i))]),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of SETTINGS',
      (attacker: Attacker) => attacker.flood(50_000, () => [frame(Frame.SETTINGS, 0, 0)]),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of empty DATA',
      async (attacker: Attacker) => {
        attacker.write(frame(Frame.HEADERS, 4, 1, waitBlock));
        await attacker.flood(50_000, () => [frame(Frame.DATA, 0, 1)]);
      },
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of WINDOW_UPDATE',
      (attacker: Attacker) => attacker.flood(50_000, () => [frame(Frame.WINDOW_UPDATE, 0, 0, integers(1))]),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'a header that bursts the compression table',
      (attacker: Attacker) =>
        attacker.write(frame(Frame.HEADERS, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]))),
      ErrorCode.COMPRESSION_ERROR,
    ],
    [
      'a frame above the size limit',
      (attacker: Attacker) => attacker.write(Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])),
      ErrorCode.FRAME_SIZE_ERROR,
    ],
    [
      'DATA on a stream that was never opened',
      (attacker: Attacker) => attacker.write(frame(Frame.DATA, 1, 9, oneEmptyMessage)),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      'headers that come too slowly',
      (attacker: Attacker) => attacker.write(frame(Frame.HEADERS, 0, 1, echoBlock)),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'half of a HEADERS frame',
      (attacker: Attacker) => attacker.write(frame(Frame.HEADERS, 5, 1, echoBlock).subarray(0, 20)),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
  ])('%s', async (_, step, code) => {
    await withWitness(async () => {
      const attacker = await attack(step);
      await attacker.closed;
      expect(attacker.goawayCode).toBe(code);
    });
  });

  it('connections that say nothing, or stop within the preface', async () => {
    await withWitness(async () => {
      const silent = Array.from({ length: 50 }, () => connect(server.port.local.port, '127.0.0.1'));
      const partial = Array.from({ length: 50 }, () => connect(server.port.local.port, '127.0.0.1'));
      for (const socket of partial) socket.write(preface.subarray(0, 10));
      await Promise.all([...silent, ...partial].map(closedOf));
    });
    expect(server.port.stats.pending).toBe(0);
  });

  it('a preface without SETTINGS', async () => {
    const attacker = await Attacker.connect(server.port.local.port);
    attacker.write(preface);
    await attacker.closed;
    expect(attacker.goawayCode).toBe(ErrorCode.SETTINGS_TIMEOUT);
  });
});

function closedOf(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

describe('a peer that takes nothing', () => {
  it('with a window of zero holds a bounded amount until its deadline', async () => {
    await withWitness(async () => {
      const attacker = await attack((peer) => {
        peer.write(frame(Frame.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
        const block = request('/interop.T/Echo', 'grpc-timeout', '300m');
        const message = Buffer.concat([Buffer.from([0, 0, 0, 0x03, 0xe8]), Buffer.alloc(1_000)]);
        for (let i = 0; i < 1_000; i++) {
          peer.write(frame(Frame.HEADERS, 4, 2 * i + 1, block), frame(Frame.DATA, 1, 2 * i + 1, message));
        }
      });
      await attacker.until(() => attacker.resets.size === 1_000);
      expect(new Set(attacker.resets.values())).toEqual(new Set([ErrorCode.CANCEL]));
      attacker.destroy();
    });
  });

  it('that does not read from its socket cannot ask for more without bound', async () => {
    await withWitness(async () => {
      const attacker = await attack((peer) => {
        const block = request('/interop.T/Produce');
        const message = Buffer.from('\0\0\0\0\x0c100000 65536', 'latin1');
        peer.write(frame(Frame.WINDOW_UPDATE, 0, 0, integers(0x7000_0000)));
        peer.write(frame(Frame.SETTINGS, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])));
        peer.pause();
        for (let i = 0; i < 20; i++) {
          peer.write(frame(Frame.HEADERS, 4, 2 * i + 1, block), frame(Frame.DATA, 0, 2 * i + 1, message));
        }
      });
      for (let i = 0; i < 200; i++) await witness.unary('/interop.T/Echo', Buffer.from('alive'));
      attacker.destroy();
      await attacker.closed;
    });
  });

  it('that is refused above the number of streams keeps its connection', async () => {
    const small = await startServer({ maxConcurrentStreams: 10 });
    const attacker = await Attacker.connect(small.port.local.port);
    attacker.write(preface, frame(Frame.SETTINGS, 0, 0));
    for (let i = 0; i < 15; i++) attacker.write(frame(Frame.HEADERS, 4, 2 * i + 1, waitBlock));
    await attacker.until(() => attacker.resets.size === 5);
    expect(new Set(attacker.resets.values())).toEqual(new Set([ErrorCode.REFUSED_STREAM]));
    attacker.write(frame(Frame.RST_STREAM, 0, 1, integers(ErrorCode.CANCEL)));
    attacker.write(frame(Frame.HEADERS, 4, 31, echoBlock), frame(Frame.DATA, 1, 31, oneEmptyMessage));
    await attacker.until(() => attacker.ended.has(31));
    attacker.destroy();
    await small.close();
  });
});

describe('many connections', () => {
  it('leave nothing behind when they break', async () => {
    await withWitness(async () => {
      const attackers = await Promise.all(
        Array.from({ length: 100 }, () =>
          attack((peer) => peer.write(frame(Frame.HEADERS, 4, 1, waitBlock))),
        ),
      );
      await Promise.all(attackers.map((attacker) => attacker.until(() => attacker.sawSettings)));
      const cancelled = server.observed.cancelled;
      const allCancelled = new Promise<void>((resolve) => {
        server.observed.onCancelled = () => {
          if (server.observed.cancelled === cancelled + 50) resolve();
        };
      });
      // Half of them had a whole request.
      attackers.forEach((attacker, i) => {
        if (i % 2 === 0) attacker.write(frame(Frame.DATA, 1, 1, oneEmptyMessage));
        attacker.end();
      });
      await allCancelled;
      await Promise.all(attackers.map((attacker) => attacker.closed));
    });
    expect(server.grpc.stats.connectionsOpen).toBe(1);
  });
});
