import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENT_PREFACE, FrameType } from '../http2/frame.js';
import { type Lender } from '../http2/lender.js';
import { SettingId } from '../http2/settings.js';
import * as wire from '../http2/testing/wire.js';
import { nodeRuntime } from '../node-runtime.js';
import { openPort, type Port } from '../transport/port.js';
import { GrpcServer } from './server.js';
import { type StreamCall } from './service.js';

const poison = 0xee;
const chunks = 4_000;
const windowMax = 0x7fff_ffff;

/** Sizes that are copied, referred to, and split over frames. */
function sizeOf(chunk: number): number {
  return 1 + ((chunk * 7_919) % (chunk % 10 === 0 ? 60_000 : 9_000));
}

/** The octets of a chunk tell its number and their place. */
function fill(target: Buffer, chunk: number): Buffer {
  for (let at = 0; at < target.length; at++) target[at] = (chunk * 31 + at) % poison;
  return target;
}

/** Sends all chunks as fast as the call takes them, from memory that is poisoned when it comes back, and lent again. */
class LendingSource {
  reused = 0;
  held = 0;
  private next = 0;
  private readonly free: Buffer[] = [];

  constructor(private readonly call: StreamCall) {
    call.onDrain = () => this.send();
  }

  send(): void {
    while (this.next < chunks) {
      const [chunk, lender] = this.lend(sizeOf(this.next));
      if (this.call.sendFramed(fill(chunk, this.next++), 1, lender)) continue;
      this.held++;
      return;
    }
    this.call.end();
  }

  private lend(bytes: number): [Buffer, Lender] {
    const known = this.free.pop();
    if (known !== undefined) this.reused++;
    const buffer = known ?? Buffer.alloc(60_001);
    const returned = (): void => {
      buffer.fill(poison);
      this.free.push(buffer);
    };
    return [buffer.subarray(0, bytes), { returned }];
  }
}

/** A client with the largest windows there are, so that nothing but its socket holds the server back. */
async function openStream(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.write(
    Buffer.concat([
      CLIENT_PREFACE,
      wire.settings([SettingId.INITIAL_WINDOW_SIZE, windowMax]),
      wire.windowUpdate(0, windowMax - 65_535),
      wire.headers(1, wire.block(...wire.REQUEST_FIELDS, 'content-type', 'application/grpc'), 5),
    ]),
  );
  return socket;
}

/** Octets of the DATA frames up to the end of the stream, read with rests so that the server's socket stays full. */
async function readAll(socket: Socket): Promise<Buffer> {
  const data: Buffer[] = [];
  let rest = Buffer.alloc(0);
  await new Promise<void>((resolve) => {
    socket.on('data', (part: Buffer) => {
      rest = Buffer.concat([rest, part]);
      for (; rest.length >= 9;) {
        const end = 9 + rest.readUIntBE(0, 3);
        if (rest.length < end) break;
        if (rest[3] === FrameType.DATA) data.push(rest.subarray(9, end));
        else if (rest[3] === FrameType.HEADERS && (rest[4]! & wire.END_STREAM) !== 0) resolve();
        rest = rest.subarray(end);
      }
      socket.pause();
      setImmediate(() => socket.resume());
    });
  });
  return Buffer.concat(data);
}

describe('lent chunks over sockets', () => {
  let port: Port | undefined;
  let socket: Socket | undefined;

  afterEach(async () => {
    socket?.destroy();
    await port?.close();
  });

  it('arrive as they were lent, although their memory is written again as soon as it comes back', async () => {
    const server = new GrpcServer();
    let source: LendingSource | undefined;
    server.register('/service/Method', {
      kind: 'stream',
      open: (call) => {
        source = new LendingSource(call);
        return { message: () => {}, halfClose: () => source?.send(), cancel: () => {} };
      },
    });
    port = await openPort(nodeRuntime, {}, { http2: (pipe, head) => server.serve(pipe, head) });
    socket = await openStream(port.local.port);
    const received = await readAll(socket);
    let at = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const expected = fill(Buffer.alloc(sizeOf(chunk)), chunk);
      const actual = received.subarray(at, at + expected.length);
      if (!actual.equals(expected)) expect.fail(`chunk ${chunk} was written over before it was sent`);
      at += expected.length;
    }
    expect(at).toBe(received.length);
    expect(source?.reused).toBeGreaterThan(0);
    expect(source?.held).toBeGreaterThan(3);
    await server.close();
  });
});
