import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Types of HTTP/2 frames (RFC 9113 section 6). */
export const Frame = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** Unsigned 32-bit integers, big-endian. */
export function integers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}

/** Literal fields without indexing, names and values in turn, each shorter than 127 octets. */
export function headerBlock(...fields: string[]): Buffer {
  const parts: Buffer[] = [];
  fields.forEach((text, i) => {
    if (i % 2 === 0) parts.push(Buffer.from([0]));
    parts.push(Buffer.from([text.length]), Buffer.from(text, 'latin1'));
  });
  return Buffer.concat(parts);
}

/** The headers of a gRPC request, with further fields behind. */
export function request(path: string, ...fields: string[]): Buffer {
  const start = [':method', 'POST', ':scheme', 'http', ':path', path, ':authority', 'x'];
  return headerBlock(...start, 'content-type', 'application/grpc', 'te', 'trailers', ...fields);
}

/** A client on a real socket that sends whatever a test wants, and notes what comes back. */
export class Attacker {
  goawayCode: number | undefined;
  sawSettings = false;
  /** Error codes of RST_STREAM by stream. */
  readonly resets = new Map<number, number>();
  /** Streams that ended with END_STREAM. */
  readonly ended = new Set<number>();
  readonly closed: Promise<void>;
  #isClosed = false;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: { condition: () => boolean; resolve: () => void; reject: (error: Error) => void }[] = [];

  private constructor(private readonly socket: Socket) {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection was closed'));
        resolve();
      });
    });
  }

  static async connect(port: number): Promise<Attacker> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Attacker(socket);
  }

  write(...frames: Uint8Array[]): void {
    if (!this.#isClosed) this.socket.write(Buffer.concat(frames));
  }

  /** Sends up to `count` rounds as fast as the server takes them, until it closes the connection. */
  async flood(count: number, round: (index: number) => Buffer[]): Promise<void> {
    const batch = 200;
    for (let i = 0; i < count && !this.#isClosed && this.goawayCode === undefined; i += batch) {
      const frames = Array.from({ length: batch }, (_, k) => round(i + k)).flat();
      if (!this.socket.write(Buffer.concat(frames))) {
        await Promise.race([once(this.socket, 'drain').catch(() => {}), this.closed]);
      } else {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** Resolves when the condition, looked at after each frame, holds. Rejects when the connection is closed before. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ condition, resolve, reject }));
  }

  pause(): void {
    this.socket.pause();
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 9 && this.#bytes.length >= 9 + this.#bytes.readUIntBE(0, 3)) {
      const length = this.#bytes.readUIntBE(0, 3);
      this.#note(this.#bytes.subarray(0, 9 + length));
      this.#bytes = this.#bytes.subarray(9 + length);
    }
    this.#waiting = this.#waiting.filter(({ condition, resolve }) => {
      if (!condition()) return true;
      resolve();
      return false;
    });
  }

  #note(bytes: Buffer): void {
    const [type, flags] = [bytes[3], bytes[4] ?? 0];
    const streamId = bytes.readUInt32BE(5);
    if (type === Frame.SETTINGS) this.sawSettings = true;
    if (type === Frame.GOAWAY) this.goawayCode = bytes.readUInt32BE(13);
    if (type === Frame.RST_STREAM) this.resets.set(streamId, bytes.readUInt32BE(9));
    if ((type === Frame.DATA || type === Frame.HEADERS) && (flags & 1) !== 0) this.ended.add(streamId);
  }
}
