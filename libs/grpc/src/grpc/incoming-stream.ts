import { type Buffer } from 'node:buffer';
import { type Connection } from '../http2/connection.js';
import { type Runtime } from '../runtime.js';
import { type GrpcStatus } from '../status.js';
import { type Endpoint, type TlsPeer } from '../transport/pipe.js';
import { type DeadlineQueue } from './deadline-queue.js';
import { type MethodStats } from './server-stats.js';

/** What a call needs of its connection and server. */
export interface CallHost {
  readonly connection: Connection;
  readonly runtime: Runtime;
  readonly deadlines: DeadlineQueue;
  readonly remote: Endpoint;
  readonly tls: TlsPeer | undefined;
  readonly maxSendBytes: number;
  readonly gzipMinBytes: number;
  readonly onHandled: ((method: MethodStats, code: GrpcStatus, durationMs: number) => void) | undefined;
  /** Reports an exception that is a defect. */
  defect(error: unknown, where: string): void;
}

/** What a server does with one stream: a call, or an exchange of plain HTTP. It is the `context` of the stream. */
export abstract class IncomingStream {
  /** Octets `buffer[start, end)` arrived; valid during the call. Returns their window when it has consumed them. */
  abstract data(buffer: Buffer, start: number, end: number, endStream: boolean): void;
  /** The stream is gone: the client reset it, or the connection ended. */
  abstract cancel(): void;
  /** The send queue of the stream has room again. */
  abstract writable(): void;
}
