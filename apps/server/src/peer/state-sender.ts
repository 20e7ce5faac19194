import { createHash, type Hash } from 'node:crypto';
import { type ClientStream, GrpcError, GrpcStatus, type Timer } from '@conclave/grpc';
import { type Disk, type DiskFile } from '../engine/platform/disk.js';
import { type MemberId } from '../engine/raft/message.js';
import { type StateFile } from '../engine/replica/peer-transport.js';
import { metadataOf, peerPaths, refusalCauseOf } from './introduction.js';
import { openPeerChannel, type PeerContext } from './peer-context.js';
import { RetryDelay } from './retry-delay.js';
import { decodeAnswer, encodeChunk, encodeEnd, encodeHeader, type StateHeader } from './state-codec.js';

/** A state could not be brought to a member. */
export class StateTransferError extends Error {
  override readonly name = 'StateTransferError';
}

/** Attempts in a row that got no further before the transfer is given up. */
const fruitlessMax = 8;
/** How often the whole is sent again after its digest was wrong. */
const digestFailuresMax = 2;

/** Answers after which another attempt would end alike. */
function isFinal(error: GrpcError): boolean {
  switch (error.code) {
    case GrpcStatus.FailedPrecondition:
    case GrpcStatus.PermissionDenied:
    case GrpcStatus.ResourceExhausted:
    case GrpcStatus.InvalidArgument:
    case GrpcStatus.Unimplemented:
      return true;
    default:
      return false;
  }
}

/**
 * Brings one state to one member. The file is read as fast as the member takes it, never ahead by more than a chunk;
 * after a break the transfer goes on where the member says.
 *
 * Invariant: `#hash` covers exactly the first `#hashed` bytes of the file, which only grows.
 */
export class StateSender {
  #hash: Hash = createHash('sha256');
  #hashed = 0;
  #isCancelled = false;
  #cancelAttempt: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #file!: DiskFile;
  #header!: StateHeader;

  constructor(
    private readonly context: PeerContext,
    private readonly disk: Disk,
    private readonly to: MemberId,
    /** Read anew before each attempt: the member may have moved meanwhile. */
    private readonly urls: () => readonly string[],
    private readonly transfer: bigint,
  ) {}

  /** @throws StateTransferError when the member refuses or cannot be reached, DiskError when the file cannot be read. */
  async send(senderTerm: number, state: StateFile): Promise<void> {
    this.#file = await this.disk.open(state.path, 'read');
    try {
      const { index, term, confState } = state;
      const size = await this.#file.size();
      this.#header = { transfer: this.transfer, size, senderTerm, index, term, confState };
      await this.#tryUntilDone();
    } finally {
      await this.#file.close();
    }
  }

  /** Gives the transfer up: `send` rejects. */
  cancel(): void {
    this.#isCancelled = true;
    this.#cancelAttempt?.();
    this.#wake?.();
  }

  async #tryUntilDone(): Promise<void> {
    const { runtime, limits } = this.context;
    const delay = new RetryDelay(runtime, limits.retryFirstMs, limits.retryLongestMs);
    let fruitless = 0;
    let digestFailures = 0;
    let best = -1;
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(attempt);
      if (outcome === 'done') return;
      if (this.#isCancelled) throw new StateTransferError('the transfer of the state was given up');
      if (isFinal(outcome.error)) throw this.#failure(outcome.error);
      if (outcome.error.code === GrpcStatus.DataLoss && outcome.acceptedTo === this.#header.size)
        digestFailures++;
      fruitless = outcome.acceptedTo > best ? 0 : fruitless + 1;
      best = Math.max(best, outcome.acceptedTo);
      if (fruitless >= fruitlessMax || digestFailures > digestFailuresMax) throw this.#failure(outcome.error);
      await this.#pause(fruitless === 0 ? 0 : delay.next());
    }
  }

  #failure(error: GrpcError): StateTransferError {
    const cause = refusalCauseOf(error.metadata) ?? error.codeName;
    return new StateTransferError(
      `the state could not be sent to member ${this.to.toString(16)} (${cause}): ${error.message}`,
      { cause: error },
    );
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.context.runtime.after(milliseconds, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  async #attempt(attempt: number): Promise<'done' | { error: GrpcError; acceptedTo: number }> {
    const { clusterId, memberId: from, peerUrls } = this.context;
    const urls = this.urls();
    let acceptedTo = -1;
    let channel: ReturnType<typeof openPeerChannel> | undefined;
    try {
      channel = openPeerChannel(this.context, urls[attempt % Math.max(1, urls.length)] ?? '');
      const metadata = metadataOf({ clusterId, from, to: this.to, peerUrls, lane: 'bulk' });
      const call = new StateCall(this.context, channel.stream(peerPaths.state, { metadata }));
      this.#cancelAttempt = () => call.giveUp('given up by the sender');
      if (this.#isCancelled) this.#cancelAttempt();
      call.send(encodeHeader(this.#header));
      acceptedTo = await call.resumeOffset();
      const sent = (offset: number): void => void (acceptedTo = Math.max(acceptedTo, offset));
      await this.#sendFrom(acceptedTo, call, sent);
      await call.done();
      return 'done';
    } catch (error) {
      if (error instanceof GrpcError) return { error, acceptedTo };
      throw error;
    } finally {
      this.#cancelAttempt = undefined;
      void channel?.close();
    }
  }

  async #sendFrom(start: number, call: StateCall, sent: (offset: number) => void): Promise<void> {
    const { size } = this.#header;
    const { chunkBytes } = this.context.limits;
    const { sentBytes } = this.context.metrics.of(this.to);
    if (start > size)
      throw new GrpcError(GrpcStatus.FailedPrecondition, 'the member has more than the whole state');
    await this.#hashUpTo(start);
    for (let offset = start; offset < size;) {
      const data = await this.#file.read(offset, Math.min(chunkBytes, size - offset));
      if (data.length === 0) throw new StateTransferError('the state became shorter while it was sent');
      this.#hashChunk(offset, data);
      const chunk = encodeChunk(offset, data);
      await call.sendWhenReady(chunk);
      sentBytes.add(chunk.length);
      offset += data.length;
      sent(offset);
    }
    await call.sendWhenReady(encodeEnd(this.#hash.copy().digest()));
  }

  /** The member may know bytes that this process has not read: of a transfer that another attempt sent. */
  async #hashUpTo(end: number): Promise<void> {
    while (this.#hashed < end) {
      const length = Math.min(this.context.limits.chunkBytes, end - this.#hashed);
      const data = await this.#file.read(this.#hashed, length);
      if (data.length === 0) throw new StateTransferError('the state became shorter while it was sent');
      this.#hashChunk(this.#hashed, data);
    }
  }

  #hashChunk(offset: number, data: Uint8Array): void {
    if (offset + data.length <= this.#hashed) return;
    this.#hash.update(data.subarray(this.#hashed - offset));
    this.#hashed = offset + data.length;
  }
}

/** One stream of a transfer, for code that waits. Every wait ends with the stream, and after the stall limit. */
class StateCall {
  #answers: Uint8Array[] = [];
  #end: GrpcError | 'ok' | undefined;
  #hasRoom = true;
  #wake: (() => void) | undefined;

  constructor(
    private readonly context: PeerContext,
    private readonly stream: ClientStream,
  ) {
    stream.onMessage = (bytes) => {
      this.#answers.push(bytes.slice());
      this.#wake?.();
    };
    stream.onDrain = () => {
      this.#hasRoom = true;
      this.#wake?.();
    };
    stream.onEnd = (error) => {
      this.#end = error ?? 'ok';
      this.#wake?.();
    };
  }

  send(bytes: Uint8Array): void {
    this.#hasRoom = this.stream.send(bytes);
  }

  async sendWhenReady(bytes: Uint8Array): Promise<void> {
    await this.#until(() => this.#hasRoom);
    this.send(bytes);
  }

  /** From where the member wants the state. @throws GrpcError */
  async resumeOffset(): Promise<number> {
    await this.#until(() => this.#answers.length > 0);
    const answer = decodeAnswer(this.#answers.shift() as Uint8Array);
    if (answer.kind === 'resume') return answer.offset;
    throw new GrpcError(GrpcStatus.Internal, 'the member is done before it began');
  }

  /** Resolves when the member has everything. @throws GrpcError */
  async done(): Promise<void> {
    this.stream.halfClose();
    await this.#until(() => this.#answers.length > 0);
    const answer = decodeAnswer(this.#answers.shift() as Uint8Array);
    if (answer.kind !== 'done') throw new GrpcError(GrpcStatus.Internal, 'the member began anew');
  }

  giveUp(reason: string): void {
    this.#end ??= new GrpcError(GrpcStatus.Canceled, reason);
    this.stream.cancel();
    this.#wake?.();
  }

  /** @throws GrpcError when the stream ends, or nothing moves for too long. */
  async #until(isMet: () => boolean): Promise<void> {
    while (!isMet()) {
      if (this.#end !== undefined) {
        throw this.#end === 'ok'
          ? new GrpcError(GrpcStatus.Internal, 'the member ended the transfer')
          : this.#end;
      }
      await this.#nextEvent();
    }
    if (this.#end !== undefined && this.#end !== 'ok') throw this.#end;
  }

  #nextEvent(): Promise<void> {
    return new Promise((resolve) => {
      const stall: Timer = this.context.runtime.after(this.context.limits.stateStallMs, () =>
        this.giveUp('the transfer of the state stalled'),
      );
      this.#wake = () => {
        stall.cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
