import { GrpcStatus, type StreamCall, type StreamHandler, type Timer } from '@conclave/grpc';
import { type Disk, DiskError } from '../engine/platform/disk.js';
import { type MemberId } from '../engine/raft/message.js';
import { type ReceivedState } from '../engine/replica/peer-transport.js';
import { MalformedMessageError } from './byte-fields.js';
import { type Introduction } from './introduction.js';
import { idText, type PeerContext } from './peer-context.js';
import {
  DamagedChunkError,
  decodePart,
  encodeAnswer,
  type StateHeader,
  type StatePart,
} from './state-codec.js';
import { StateSpool, WrongDigestError } from './state-spool.js';

/** The other side breaks the order of a transfer. */
class TransferOrderError extends Error {
  override readonly name = 'TransferOrderError';
}

/** A transfer that this member does not take. */
class TransferRefusal extends Error {
  override readonly name = 'TransferRefusal';
}

/** A state on its way to this member. */
interface Reception {
  readonly from: MemberId;
  readonly spool: StateSpool;
  readonly beganAt: number;
  /** The stream that brings it at the moment; undefined while the connection is broken. */
  call: StreamCall | undefined;
  /** Set while no stream brings it: when nobody continues, it is given up. */
  abandonTimer: Timer | undefined;
}

/**
 * Receives states, one at a time, into a spool directory.
 *
 * Invariants: everything that touches `#reception` runs in `#turn`, one after the other. A stream is paused while one of
 * its parts is handled, so at most one part is in memory.
 */
export class StateReceiver {
  onState: ((state: ReceivedState) => void) | undefined;
  #reception: Reception | undefined;
  #lastDone: { readonly transfer: bigint; readonly from: MemberId } | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(
    private readonly context: PeerContext,
    private readonly disk: Disk,
    private readonly directory: string,
  ) {}

  open(call: StreamCall, { from }: Introduction): StreamHandler {
    return {
      message: (bytes) => {
        call.pause();
        const part = this.#decode(call, from, bytes);
        if (part === undefined) return;
        this.#inTurn(async () => {
          await this.#take(call, from, part);
          call.resume();
        }, call);
      },
      halfClose: () => undefined,
      cancel: () => this.#inTurn(() => Promise.resolve(this.#broken(call)), undefined),
    };
  }

  /** Gives up what is under way and releases the files. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const call = this.#reception?.call;
    call?.fail(GrpcStatus.Unavailable, 'this member is stopping');
    this.#inTurn(() => this.#discard(), undefined);
    await this.#turn;
  }

  /** The bytes of a chunk are copied: they are handled after this call. */
  #decode(call: StreamCall, from: MemberId, bytes: Uint8Array): StatePart | undefined {
    this.context.metrics.of(from).receivedBytes.add(bytes.length);
    try {
      return decodePart(bytes.slice());
    } catch (error) {
      this.context.metrics.of(from).receiveFailures.add(1);
      if (error instanceof DamagedChunkError) call.fail(GrpcStatus.DataLoss, error.message);
      else if (error instanceof MalformedMessageError) call.fail(GrpcStatus.InvalidArgument, error.message);
      else throw error;
      this.#inTurn(() => Promise.resolve(this.#broken(call)), undefined);
      return undefined;
    }
  }

  #inTurn(work: () => Promise<void>, call: StreamCall | undefined): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => this.#failed(error, call));
  }

  async #failed(error: unknown, call: StreamCall | undefined): Promise<void> {
    const { logger, onDefect } = this.context;
    const code = statusOf(error);
    if (code === undefined) return onDefect(error, 'the reception of a state');
    const message = (error as Error).message;
    logger.warn('a state of another member was not taken', { error: message });
    call?.fail(code, message);
    if (call !== undefined && this.#reception?.call === call) await this.#discardQuietly();
  }

  async #take(call: StreamCall, from: MemberId, part: StatePart): Promise<void> {
    if (this.#isClosed || call.isDone) return;
    if (part.kind === 'header') return this.#begin(call, from, part);
    const reception = this.#reception;
    if (reception?.call !== call) throw new TransferOrderError('the state was not announced');
    if (part.kind === 'end') return this.#finish(reception, part.digest);
    const { spool } = reception;
    if (part.offset !== spool.received || part.offset + part.data.length > spool.header.size) {
      throw new TransferOrderError(`bytes at offset ${part.offset} do not follow ${spool.received}`);
    }
    await spool.append(part.data);
  }

  async #begin(call: StreamCall, from: MemberId, header: StateHeader): Promise<void> {
    const current = this.#reception;
    if (current?.from === from && current.spool.header.transfer === header.transfer) {
      current.call?.fail(GrpcStatus.Aborted, 'the transfer goes on in a newer stream');
      current.abandonTimer?.cancel();
      current.abandonTimer = undefined;
      current.call = call;
    } else if (this.#lastDone?.from === from && this.#lastDone.transfer === header.transfer) {
      call.send(encodeAnswer({ kind: 'resume', offset: header.size }));
      call.send(encodeAnswer({ kind: 'done' }));
      return call.end();
    } else {
      await this.#replace(current, call, from, header);
    }
    const offset = this.#reception?.spool.received ?? 0;
    call.send(encodeAnswer({ kind: 'resume', offset }));
  }

  async #replace(
    current: Reception | undefined,
    call: StreamCall,
    from: MemberId,
    header: StateHeader,
  ): Promise<void> {
    if (
      current !== undefined &&
      current.from !== from &&
      current.spool.header.senderTerm >= header.senderTerm
    ) {
      throw new TransferRefusal(`member ${idText(current.from)} is sending a state already`);
    }
    if (current !== undefined) {
      current.call?.fail(GrpcStatus.Aborted, 'another state comes instead');
      await this.#discard();
    }
    const beganAt = this.context.runtime.now();
    const spool = await StateSpool.create(this.disk, this.directory, header);
    this.#reception = { from, spool, beganAt, call, abandonTimer: undefined };
    this.context.logger.info('receiving a state', {
      'remote-peer-id': idText(from),
      index: header.index,
      bytes: header.size,
    });
  }

  async #finish(reception: Reception, digest: Uint8Array): Promise<void> {
    const { spool, from, call } = reception;
    const { header } = spool;
    if (spool.received !== header.size) throw new TransferOrderError('the state ended too early');
    const { runtime, metrics } = this.context;
    const arrivedAt = runtime.now();
    const path = await spool.finish(digest);
    metrics.stateSync.observe((runtime.now() - arrivedAt) / 1_000);
    metrics.stateSave.observe((runtime.now() - reception.beganAt) / 1_000);
    this.#reception = undefined;
    this.#lastDone = { transfer: header.transfer, from };
    const { index, term, confState, senderTerm } = header;
    this.context.logger.info('received a state', {
      'remote-peer-id': idText(from),
      index,
      bytes: header.size,
    });
    metrics.statesReceived.add(1);
    if (!this.#isClosed) this.onState?.({ from, senderTerm, index, term, confState, path });
    call?.send(encodeAnswer({ kind: 'done' }));
    call?.end();
  }

  /** The connection broke; the sender has a while to continue. */
  #broken(call: StreamCall): void {
    const reception = this.#reception;
    if (reception?.call !== call) return;
    const { runtime, limits, logger } = this.context;
    reception.call = undefined;
    reception.abandonTimer = runtime.after(limits.stateStallMs, () => {
      if (this.#reception !== reception || reception.call !== undefined) return;
      logger.warn('a state that nobody sends on is dropped', { 'remote-peer-id': idText(reception.from) });
      this.#inTurn(() => this.#discard(), undefined);
    });
  }

  async #discard(): Promise<void> {
    const reception = this.#reception;
    if (reception === undefined) return;
    this.#reception = undefined;
    reception.abandonTimer?.cancel();
    await reception.spool.discard();
  }

  async #discardQuietly(): Promise<void> {
    try {
      await this.#discard();
    } catch (error) {
      // The next start removes the file.
      this.context.logger.warn('a spool file could not be removed', { error: String(error) });
    }
  }
}

/** What the sender is told of an error; undefined for a defect. */
function statusOf(error: unknown): GrpcStatus | undefined {
  if (error instanceof DiskError) return error.isNoSpace ? GrpcStatus.ResourceExhausted : GrpcStatus.Internal;
  if (error instanceof TransferRefusal) return GrpcStatus.FailedPrecondition;
  if (error instanceof TransferOrderError) return GrpcStatus.Aborted;
  if (error instanceof WrongDigestError) return GrpcStatus.DataLoss;
  return undefined;
}
