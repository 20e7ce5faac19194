import { GrpcServer, GrpcStatus, type Pipe, type StreamCall, type StreamHandler } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { MalformedMessageError } from './byte-fields.js';
import {
  encodeGreeting,
  type Introduction,
  introductionOf,
  isRefusal,
  peerPaths,
  type Refusal,
  refusal,
  type RefusalCause,
  refusalTrailers,
} from './introduction.js';
import { decodeBatch } from './message-codec.js';
import { type WireMessage } from './message-kinds.js';
import { idText, type PeerContext } from './peer-context.js';

/** Who takes what arrives from other members. */
export interface PeerHost {
  /** Whether messages are taken already. */
  readonly isRunning: boolean;
  wasRemoved(member: MemberId): boolean;
  /** A member began to speak; false when it is not known and does not say where it can be answered. */
  introduced(introduction: Introduction): boolean;
  take(message: WireMessage): void;
  openState(call: StreamCall, introduction: Introduction): StreamHandler;
}

/** Encoded `MemberListResponse` of what this member knows of its cluster; undefined while it does not know yet. */
export type ListMembers = () => Promise<Uint8Array | undefined>;

const ignoring: StreamHandler = { message() {}, halfClose() {}, cancel() {} };

/** The methods that a member serves to others. Everything is refused that is not meant for it. */
export class PeerService {
  readonly #server: GrpcServer;
  /** Streams of messages by sender and lane: a member that connects anew has lost the stream before. */
  readonly #incoming = new Map<string, StreamCall>();
  /** Set when the member runs. */
  listMembers: ListMembers = () => Promise.resolve(undefined);

  constructor(
    private readonly context: PeerContext,
    private readonly host: PeerHost,
  ) {
    const { limits, runtime, onDefect } = context;
    this.#server = new GrpcServer(
      {
        maxReceiveBytes: limits.receiveBytesMax,
        keepaliveIntervalMs: 2 * limits.keepaliveIntervalMs,
        keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
        handshakeTimeoutMs: limits.connectTimeoutMs,
        // Members ping each other as often as they like.
        minPingIntervalMs: 0,
        maxConcurrentStreams: 64,
        http2: { initialWindowSize: 4 << 20, connectionWindowSize: 8 << 20, maxPings: 100_000 },
        onDefect,
      },
      runtime,
    );
    this.#server.register(peerPaths.messages, { kind: 'stream', open: (call) => this.#openMessages(call) });
    this.#server.register(peerPaths.state, { kind: 'stream', open: (call) => this.#openState(call) });
    this.#server.register(peerPaths.probe, {
      kind: 'unary',
      handle: (_, call) => call.respond(new Uint8Array(0)),
    });
    this.#server.register(peerPaths.members, {
      kind: 'unary',
      handle: (_, call) => {
        this.listMembers().then(
          (list) => {
            if (list !== undefined) call.respond(list);
            else call.fail(GrpcStatus.Unavailable, 'this member does not know its cluster yet');
          },
          (error: unknown) => onDefect(error, peerPaths.members),
        );
      },
    });
  }

  serve(pipe: Pipe, head: Uint8Array): void {
    this.#server.serve(pipe, head);
  }

  /** Ends the streams of members that were removed, so that they learn it. */
  refuseRemoved(): void {
    for (const [key, call] of this.#incoming) {
      const from = BigInt(`0x${key.slice(0, key.indexOf(' '))}`);
      if (!this.host.wasRemoved(from)) continue;
      this.#incoming.delete(key);
      failRefused(call, removedRefusal);
    }
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #openMessages(call: StreamCall): StreamHandler {
    const introduction = this.#admit(call);
    if (introduction === undefined) return ignoring;
    const { from, to, lane } = introduction;
    const key = `${idText(from)} ${lane}`;
    this.#incoming.get(key)?.fail(GrpcStatus.Aborted, 'replaced by a newer stream of the same member');
    this.#incoming.set(key, call);
    call.send(encodeGreeting({ clusterId: this.context.clusterId, memberId: to }));
    const forget = (): void => {
      if (this.#incoming.get(key) === call) this.#incoming.delete(key);
    };
    return {
      message: (batch) => this.#receive(call, batch, introduction),
      halfClose: () => {
        forget();
        call.end();
      },
      cancel: forget,
    };
  }

  #receive(call: StreamCall, batch: Uint8Array, { from, to }: Introduction): void {
    const { receivedBytes, receiveFailures } = this.context.metrics.of(from);
    receivedBytes.add(batch.length);
    try {
      decodeBatch(batch, { from, to }, (message) => this.host.take(message));
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      receiveFailures.add(1);
      this.#refuse(call, idText(from), refusal('malformed', error.message));
    }
  }

  #openState(call: StreamCall): StreamHandler {
    const introduction = this.#admit(call);
    return introduction === undefined ? ignoring : this.host.openState(call, introduction);
  }

  /** Checks who calls; undefined when the call was refused. */
  #admit(call: StreamCall): Introduction | undefined {
    const introduction = introductionOf(call.metadata);
    const problem = isRefusal(introduction) ? introduction : this.#problemOf(introduction);
    if (problem === undefined) return introduction as Introduction;
    const peer = isRefusal(introduction) ? call.remote.address : idText(introduction.from);
    this.#refuse(call, peer, problem);
    return undefined;
  }

  #problemOf(introduction: Introduction): Refusal | undefined {
    const { clusterId, memberId } = this.context;
    const { from, to } = introduction;
    if (introduction.clusterId !== clusterId) {
      const other = introduction.clusterId.toString(16);
      return refusal(
        'cluster',
        `this member belongs to cluster ${clusterId.toString(16)}, the caller to ${other}`,
      );
    }
    if (to !== memberId) {
      return refusal('receiver', `this is member ${idText(memberId)}, the caller looks for ${idText(to)}`);
    }
    if (from === memberId)
      return refusal('own-id', `the caller uses the id of this member, ${idText(memberId)}`);
    if (this.host.wasRemoved(from)) return removedRefusal;
    if (!this.host.isRunning) return refusal('starting', 'this member is still starting');
    if (!this.host.introduced(introduction)) {
      return refusal(
        'unknown',
        `member ${idText(from)} is not known here, and does not say where it can be reached`,
      );
    }
    return undefined;
  }

  #refuse(call: StreamCall, peer: string, problem: Refusal): void {
    failRefused(call, problem);
    if (problem.cause === 'starting') return;
    const { address } = call.remote;
    const message = `refused another member: ${problem.message}`;
    this.context.refusals.say(`${peer}@${address}`, problem.cause, message, { remote: address });
  }
}

const removedRefusal = refusal('removed', 'the calling member was removed from the cluster');

function failRefused(call: StreamCall, { cause, code, message }: Refusal): void {
  call.fail(code, message, refusalTrailers(cause satisfies RefusalCause));
}
