import { type GrpcStatus } from '../status.js';
import { type HeaderCount } from './header-counts.js';

const codeCount = 17;

/** What happened to the calls of one method since the server began. */
export class MethodStats {
  started = 0;
  messagesReceived = 0;
  messagesSent = 0;
  /** Octets of messages, without framing, as they were on the wire. */
  bytesReceived = 0;
  bytesSent = 0;
  /** Ended calls by status code. */
  readonly handledByCode: number[] = new Array<number>(codeCount).fill(0);

  constructor(
    /** `/package.Service/Method`; the empty string stands for all methods that nobody serves. */
    readonly path: string,
    readonly kind: 'unary' | 'stream',
  ) {}

  noteHandled(code: GrpcStatus): void {
    const index = code >= 0 && code < codeCount ? code : 2;
    this.handledByCode[index] = (this.handledByCode[index] as number) + 1;
  }
}

/** Numbers of a server, for metrics. */
export interface ServerStats {
  readonly methods: ReadonlyMap<string, MethodStats>;
  /** Calls of methods that nobody serves. */
  readonly unknownMethods: MethodStats;
  /** Calls of methods that are served, by kind and value of the header that `countCallsBy` names. */
  readonly callsByHeader: readonly HeaderCount[];
  readonly connectionsOpen: number;
  readonly connectionsAccepted: number;
  /** Connections that we ended because of a violation or an exceeded limit, by HTTP/2 error code. */
  readonly connectionsFailed: ReadonlyMap<number, number>;
  /** Octets on the wire, over all connections. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
}
