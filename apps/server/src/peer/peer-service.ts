import { GrpcServer, GrpcStatus, type Pipe, type StreamCall, type StreamHandler } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { MalformedMessageError } from './byte-fields.js';
import { IncomingStreams, isSameUrls } from './incoming-streams.js';
import {
  encodeGreeting,
  type Introduction,
  introductionOf,
  isPassing,
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
  /** The peer URLs under which the configuration has a member; undefined when it does not have it. */
  peerUrlsOf(member: MemberId): readonly string[] | undefined;
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
  readonly #incoming: IncomingStreams;
  /** Set when the member runs. */
  listMembers: ListMembers = () => Promise.resolve(undefined);

  constructor(
    private readonly context: PeerContext,
    private readonly host: PeerHost,
  ) {
    const { limits, runtime, onDefect } = context;
    const keepaliveIntervalMs = 2 * limits.keepaliveIntervalMs;
    this.#incoming = new IncomingStreams(
      () => runtime.now(),
      // At most an interval, or the wait for a ping that was answered at once, and the wait for one that was not.
      keepaliveIntervalMs + 2 * limits.keepaliveTimeoutMs,
    );
    this.#server = new GrpcServer(
      {
        maxReceiveBytes: limits.receiveBytesMax,
        keepaliveIntervalMs,
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
    const isRemoved = (member: MemberId): boolean => this.host.wasRemoved(member);
    for (const call of this.#incoming.take(isRemoved)) failRefused(call, removedRefusal);
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #openMessages(call: StreamCall): StreamHandler {
    const introduction = this.#admit(call);
    if (introduction === undefined) return ignoring;
    for (const replaced of this.#incoming.add(introduction, call)) {
      replaced.fail(GrpcStatus.Aborted, 'replaced by a newer stream of the same member');
    }
    call.send(encodeGreeting({ clusterId: this.context.clusterId, memberId: introduction.to }));
    const forget = (): void => this.#incoming.delete(introduction, call);
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
    const contest = this.#contestOf(introduction);
    if (contest !== undefined) return contest;
    if (!this.host.introduced(introduction)) {
      return refusal(
        'unknown',
        `member ${idText(from)} is not known here, and does not say where it can be reached`,
      );
    }
    return undefined;
  }

  /**
   * Two processes with one id: a data directory was copied, or a member was moved and its former process still runs.
   * The one at the URLs of the configuration is the member. Of others the first one is, as long as it lives.
   */
  #contestOf(introduction: Introduction): Refusal | undefined {
    const { from, peerUrls } = introduction;
    const configured = this.host.peerUrlsOf(from);
    if (configured !== undefined && isSameUrls(configured, peerUrls)) return undefined;
    const contest = this.#incoming.contest(introduction);
    if (contest === undefined) return undefined;
    const id = idText(from);
    if (contest === 'undecided') return refusal('contested', `member ${id} may still run at other peer URLs`);
    const there = this.#incoming.urlsOf(from)?.join(',') ?? '';
    return refusal(
      'twin',
      `member ${id} runs twice: at the peer URLs ${there} and, with a copy of its data directory, at ` +
        `${peerUrls.join(',')}, which is refused. Stop the one at ${peerUrls.join(',')} and remove its data directory. ` +
        'For one more member: etcdctl member add, and start it with an empty directory and ' +
        `--initial-cluster-state=existing. To move this one: etcdctl member update ${id}, and stop the process at ${there}.`,
    );
  }

  #refuse(call: StreamCall, peer: string, problem: Refusal): void {
    failRefused(call, problem);
    if (isPassing(problem.cause)) return;
    const { address } = call.remote;
    const message = `refused another member: ${problem.message}`;
    this.context.refusals.say(`${peer}@${address}`, problem.cause, message, { remote: address });
  }
}

const removedRefusal = refusal('removed', 'the calling member was removed from the cluster');

function failRefused(call: StreamCall, { cause, code, message }: Refusal): void {
  call.fail(code, message, refusalTrailers(cause satisfies RefusalCause));
}
