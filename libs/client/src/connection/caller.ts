import { type etcdserverpb, GrpcStatus } from '@conclave/protocol';
import { Backoff } from '../backoff.js';
import { pause, throwIfCancelled } from '../cancellation.js';
import { classify, maybeApplied, outcomeUnknown, toConclaveError } from '../error-mapping.js';
import { asConclaveError } from '../error-mapping.js';
import { type ConclaveError, isConclaveError, StoreReplacedError, TimeoutError } from '../errors.js';
import { type CallOptions } from '../kv-store.js';
import { type Runtime } from '../runtime.js';
import { type Metadata, TransportError } from '../transport.js';
import { type Connection } from './connection.js';
import { type Link } from './link.js';
import { type ReadMark } from './store-identity.js';

/** One gRPC method: its path, its codecs, and what repeating a call would do. */
export interface Codec<Q, S> {
  readonly path: string;
  /** `read`: changes nothing. `harmless`: doing it twice is as good as once. `write`: must not be done twice. */
  readonly repeat: 'read' | 'harmless' | 'write';
  encode(message: Q): Uint8Array;
  decode(bytes: Uint8Array): S;
}

export interface CallerOptions {
  readonly runtime: Runtime;
  readonly requestTimeoutMs: number;
  readonly retry: { readonly baseMs: number; readonly maxMs: number };
  readonly metadata: Metadata;
}

interface Headed {
  readonly header: etcdserverpb.ResponseHeader | undefined;
}

/**
 * Unary calls with fail-over. What changes nothing, and what provably never reached a member, is tried again until the
 * timeout; a write with an unknown outcome ends in MaybeAppliedError at once.
 */
export class Caller {
  constructor(
    private readonly connection: Connection,
    private readonly options: CallerOptions,
  ) {}

  /**
   * @param older what an answer means that is older than what was seen when the call started: `false`: the store was
   *   replaced; `true`: the member lags, so the result is undefined; `'ignored'`: nothing.
   * @throws ConclaveError (rejects).
   */
  async call<Q, S extends Headed>(
    codec: Codec<Q, S>,
    request: Q,
    call: CallOptions | undefined,
    older: boolean | 'ignored',
  ): Promise<S | undefined> {
    const { clock, random } = this.options.runtime;
    const signal = call?.signal;
    const deadline = clock.monotonic() + (call?.timeoutMs ?? this.options.requestTimeoutMs);
    const backoff = new Backoff({ ...this.options.retry, jitter: 'full' }, random);
    for (;;) {
      throwIfCancelled(signal);
      const link = await this.linkBefore(codec.path, deadline, signal);
      const mark = this.connection.identity.mark();
      try {
        const bytes = await link.unary(codec.path, codec.encode(request), {
          metadata: this.options.metadata,
          timeoutMs: Math.max(1, deadline - clock.monotonic()),
          ...(signal === undefined ? {} : { signal }),
        });
        const answer = codec.decode(bytes);
        return this.admit(answer, mark, older, link) ? answer : undefined;
      } catch (caught) {
        if (!(caught instanceof TransportError)) throw asConclaveError(caught);
        this.failed(codec, link, caught, signal);
        const delayMs = backoff.next();
        if (clock.monotonic() + delayMs >= deadline) throw toConclaveError(caught, link.endpoint);
        await pause(clock, delayMs, signal);
      }
    }
  }

  /** Returns when the call may be tried again. @throws ConclaveError when it may not. */
  private failed<Q, S>(
    codec: Codec<Q, S>,
    link: Link,
    error: TransportError,
    signal: AbortSignal | undefined,
  ): void {
    const failure = classify(error);
    this.connection.report(link, failure);
    if (signal?.aborted === true && error.code === GrpcStatus.Canceled) throwIfCancelled(signal);
    if (codec.repeat === 'write' && outcomeUnknown(failure))
      throw maybeApplied(codec.path, error, link.endpoint);
    const again = failure.notApplied || (codec.repeat !== 'write' && failure.transient);
    if (!again) throw toConclaveError(error, link.endpoint);
  }

  private admit(answer: Headed, mark: ReadMark, older: boolean | 'ignored', link: Link): boolean {
    const { identity } = this.connection;
    const known = older === 'ignored' ? { ...mark, revision: 0n } : mark;
    const verdict = identity.admit(answer.header, known);
    if (verdict === 'ok') return true;
    if (verdict === 'behind' && older === true) return false;
    const error = new StoreReplacedError(
      verdict === 'foreign'
        ? `${link.endpoint} answered for another cluster`
        : `${link.endpoint} answered at revision ${answer.header?.revision}, after revision ${mark.revision} had been seen`,
      { endpoint: link.endpoint },
    );
    if (verdict === 'behind' && answer.header !== undefined) {
      identity.adopt(answer.header.cluster_id, answer.header.revision);
    }
    // Another cluster behind the same address: dial again, and find out whether the known one is still somewhere.
    if (verdict === 'foreign') this.connection.drop(link, error);
    throw error;
  }

  /** The link, if there is one before the deadline. Nothing was sent so far, so this failure is always retryable. */
  private async linkBefore(path: string, deadline: number, signal: AbortSignal | undefined): Promise<Link> {
    const now = this.connection.current();
    if (now !== undefined) return now;
    const { clock } = this.options.runtime;
    const late = new AbortController();
    const timer = clock.setTimer(deadline - clock.monotonic(), () => late.abort(this.neverSent(path)));
    const onAbort = (): void => late.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.connection.acquire(late.signal);
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private neverSent(path: string): ConclaveError {
    const cause = this.connection.failure;
    const endpoint = isConclaveError(cause) ? cause.endpoint : undefined;
    return new TimeoutError(`${path} was not sent: no member could be reached in time (${cause.message})`, {
      cause,
      ...(endpoint === undefined ? {} : { endpoint }),
    });
  }
}
