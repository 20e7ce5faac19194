import { etcdserverpb as pb, GrpcStatus } from '@conclave/protocol';
import {
  type StreamOptions,
  type Transport,
  TransportError,
  type TransportFactory,
  type TransportObserver,
  type TransportOptions,
  type TransportStream,
  type UnaryOptions,
} from '../transport.js';

/** How a member of the fake network behaves; may be changed at any time. */
export interface FakeMember {
  /** `down`: refuses connections. `silent`: takes them and never answers. */
  mode: 'up' | 'down' | 'silent';
  clusterId: bigint;
  revision: bigint;
  hasLeader: boolean;
  /** Answers calls other than Status. Default: an empty answer with the member's header. */
  answer?: (path: string, request: Uint8Array, options: UnaryOptions) => Promise<Uint8Array>;
}

/** A network of members by endpoint. It knows every call and stream, and how many connections are open. */
export class FakeNetwork {
  readonly members = new Map<string, FakeMember>();
  readonly calls: { readonly endpoint: string; readonly path: string; readonly metadata: object }[] = [];
  readonly streams: {
    readonly endpoint: string;
    readonly path: string;
    readonly metadata: object;
    readonly observer: TransportObserver;
  }[] = [];
  private readonly open = new Set<FakeTransport>();

  constructor(private readonly setTimer: (ms: number, callback: () => void) => unknown) {}

  readonly factory: TransportFactory = (endpoint, options) => {
    const transport = new FakeTransport(this, endpoint, options);
    this.open.add(transport);
    return transport;
  };

  add(endpoint: string, member: Partial<FakeMember> = {}): FakeMember {
    const added: FakeMember = { mode: 'up', clusterId: 1n, revision: 10n, hasLeader: true, ...member };
    this.members.set(endpoint, added);
    return added;
  }

  get connections(): string[] {
    return [...this.open].map((transport) => transport.endpoint);
  }

  /** The member goes down and its connections are lost. */
  crash(endpoint: string): void {
    const member = this.members.get(endpoint);
    if (member !== undefined) member.mode = 'down';
    for (const transport of [...this.open]) {
      if (transport.endpoint === endpoint) transport.lose();
    }
  }

  closed(transport: FakeTransport): void {
    this.open.delete(transport);
  }

  later(ms: number, callback: () => void): void {
    this.setTimer(ms, callback);
  }
}

class FakeTransport implements Transport {
  private readonly running = new Set<(error: TransportError) => void>();
  private isClosed = false;

  constructor(
    private readonly network: FakeNetwork,
    readonly endpoint: string,
    private readonly options: TransportOptions,
  ) {}

  unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    const member = this.network.members.get(this.endpoint);
    if (member === undefined || member.mode === 'down' || this.isClosed) {
      return Promise.reject(new TransportError(GrpcStatus.Unavailable, 'connection refused', false));
    }
    this.network.calls.push({ endpoint: this.endpoint, path, metadata: options.metadata });
    return new Promise((resolve, reject) => {
      const end = (error: TransportError): void => {
        this.running.delete(end);
        reject(error);
      };
      this.running.add(end);
      this.network.later(options.timeoutMs, () =>
        end(new TransportError(GrpcStatus.DeadlineExceeded, 'deadline', true)),
      );
      options.signal?.addEventListener('abort', () =>
        end(new TransportError(GrpcStatus.Canceled, 'cancelled', true)),
      );
      if (member.mode === 'silent') return;
      answerOf(member, path, request, options).then(
        (bytes) => {
          this.running.delete(end);
          resolve(bytes);
        },
        (error: TransportError) => end(error),
      );
    });
  }

  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream {
    this.network.streams.push({ endpoint: this.endpoint, path, metadata: options.metadata, observer });
    const end = (error: TransportError): void => {
      this.running.delete(end);
      observer.end(error);
    };
    this.running.add(end);
    return { send: () => undefined, cancel: () => void this.running.delete(end) };
  }

  lose(): void {
    const error = new TransportError(GrpcStatus.Unavailable, 'connection reset', true);
    for (const end of [...this.running]) end(error);
    this.options.onLost(error);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.network.closed(this);
    for (const end of [...this.running]) end(new TransportError(GrpcStatus.Canceled, 'closed', true));
  }
}

function answerOf(
  member: FakeMember,
  path: string,
  request: Uint8Array,
  options: UnaryOptions,
): Promise<Uint8Array> {
  const header = { cluster_id: member.clusterId, member_id: 1n, revision: member.revision, raft_term: 3n };
  if (path.endsWith('/Status')) {
    const status = { header, leader: member.hasLeader ? 1n : 0n, raftTerm: 3n };
    return Promise.resolve(pb.StatusResponse.encode(pb.StatusResponse.create(status)).finish());
  }
  // The header has the same field number in all answers.
  return (
    member.answer?.(path, request, options) ??
    Promise.resolve(pb.PutResponse.encode({ header, prev_kv: undefined }).finish())
  );
}
