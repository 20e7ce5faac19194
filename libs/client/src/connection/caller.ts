import { type etcdserverpb, GrpcStatus } from '@conclave/protocol';
import { type Authorization, type Tokens } from '../auth/tokens.js';
import { Backoff } from '../backoff.js';
import { abortable, pause, throwIfCancelled } from '../cancellation.js';
import { classify, maybeApplied, outcomeUnknown, toConclaveError } from '../error-mapping.js';
import { asConclaveError } from '../error-mapping.js';
import {
  type ConclaveError,
  isConclaveError,
  StoreReplacedError,
  TimeoutError,
  TlsError,
} from '../errors.js';
import { type CallOptions } from '../kv-store.js';
import { type Runtime } from '../runtime.js';
import { TransportError } from '../transport.js';
import { type Connection } from './connection.js';
import { type Link } from './link.js';
import { type RetryBudget } from './retry-budget.js';
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
  readonly tokens: Tokens;
  readonly budget: RetryBudget;
  /** False: an answer of a member that lags is as good as any other where the call allows it. */
  readonly monotonicReads: boolean;
  /** A call is about to be made again. */
  readonly onRetry?: (path: string) => void;
}

/**
 * So many refused tokens one call bears. The second is for a change of users and roles while the first was renewed; more
 * would be a loop.
 */
const renewalsPerCall = 2;

interface Headed {
  readonly header: etcdserverpb.ResponseHeader | undefined;
}

/** One call with all its attempts. */
interface Attempts {
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly backoff: Backoff;
  renewals: number;
}

/**
 * Unary calls with fail-over. What changes nothing, and what provably never reached a member, is tried again until the
 * timeout or until the retry budget is used up; a write with an unknown outcome ends in MaybeAppliedError at once.
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
    const { runtime, retry, requestTimeoutMs, tokens } = this.options;
    const attempts: Attempts = {
      deadline: runtime.clock.monotonic() + (call?.timeoutMs ?? requestTimeoutMs),
      signal: call?.signal,
      backoff: new Backoff({ ...retry, jitter: 'full' }, runtime.random),
      renewals: 0,
    };
    for (;;) {
      throwIfCancelled(attempts.signal);
      const link = await this.linkBefore(codec.path, attempts);
      let used: Authorization | undefined;
      try {
        used = tokens.now() ?? (await this.before(codec.path, attempts, () => tokens.on(link)));
        const mark = this.connection.identity.mark();
        const answer = codec.decode(await this.send(codec, request, link, used, attempts));
        tokens.accepted(used);
        return this.admit(answer, mark, older, link) ? answer : undefined;
      } catch (caught) {
        if (!(caught instanceof TransportError)) throw asConclaveError(caught);
        await this.afterFailure(codec, link, caught, used, attempts);
      }
    }
  }

  private send<Q, S>(
    codec: Codec<Q, S>,
    request: Q,
    link: Link,
    authorization: Authorization,
    { deadline, signal }: Attempts,
  ): Promise<Uint8Array> {
    return link.unary(codec.path, codec.encode(request), {
      metadata: authorization.metadata,
      timeoutMs: Math.max(1, deadline - this.options.runtime.clock.monotonic()),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Resolves when the call is to be tried again. @throws ConclaveError (rejects) when it is not. */
  private async afterFailure<Q, S>(
    codec: Codec<Q, S>,
    link: Link,
    error: TransportError,
    used: Authorization | undefined,
    attempts: Attempts,
  ): Promise<void> {
    const { runtime, tokens, budget } = this.options;
    // Tokens are checked before anything is done, so that this is safe for writes as well.
    if (
      used !== undefined &&
      tokens.judge(used, error) === 'renewable' &&
      attempts.renewals < renewalsPerCall
    ) {
      attempts.renewals += 1;
      return;
    }
    this.failed(codec, link, error, attempts.signal);
    const delayMs = attempts.backoff.next();
    const isLate = runtime.clock.monotonic() + delayMs >= attempts.deadline;
    if (isLate || !budget.take()) throw toConclaveError(error, link.endpoint);
    this.options.onRetry?.(codec.path);
    await pause(runtime.clock, delayMs, attempts.signal);
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
    if (verdict === 'behind' && older === true) return !this.options.monotonicReads;
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
  private async linkBefore(path: string, attempts: Attempts): Promise<Link> {
    return (
      this.connection.current() ??
      (await this.before(path, attempts, (signal) => this.connection.acquire(signal)))
    );
  }

  /** What is needed before the request can be sent, or a rejection at the deadline or when the call is aborted. */
  private async before<T>(
    path: string,
    { deadline, signal }: Attempts,
    find: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.options.runtime;
    const late = new AbortController();
    const timer = clock.setTimer(deadline - clock.monotonic(), () => late.abort(this.neverSent(path)));
    const onAbort = (): void => late.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await abortable(find(late.signal), late.signal);
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private neverSent(path: string): ConclaveError {
    const cause = this.connection.failure;
    const endpoint = isConclaveError(cause) ? cause.endpoint : undefined;
    const details = { cause, ...(endpoint === undefined ? {} : { endpoint }) };
    const message = `${path} was not sent: no member could be reached in time (${cause.message})`;
    // Waiting longer would not help: somebody has to look at certificates.
    if (cause instanceof TlsError) return new TlsError(cause.problem, message, details);
    return new TimeoutError(message, details);
  }
}
