import { MemberRemovedError } from '../engine/replica/roster.js';
import { type LogSink } from '../logging/log-sink.js';
import { type ServerLogger } from '../logging/server-logger.js';
import { type Server } from './server.js';

/** The process did what it was told. */
const exitOk = 0;
/** The member stopped because it could not go on; the last log line says why. */
const exitFailed = 1;
/** Somebody asked twice to stop, and the first time had not finished. */
const exitForced = 130;

/** How long the last log lines may take to leave. */
const flushTimeoutMs = 1_000;
/** A stop that takes longer is given up: what is not written yet is in the log and is replayed at the next start. */
const stopTimeoutMs = 30_000;

/**
 * Ends the process for every reason there is: signals, a member that failed, and defects. A defect (an exception that
 * nobody expected) means that the state cannot be trusted: the process ends at once, without writing anything more.
 *
 * Invariant: once `#isEnding`, a further signal ends the process at once.
 */
export class ProcessLifecycle {
  #server: Server | undefined;
  #isEnding = false;

  constructor(
    private readonly logger: ServerLogger,
    private readonly sink: LogSink,
  ) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#signalled(signal));
    process.on('SIGHUP', () => this.#reload());
    process.on('uncaughtException', (error) => this.fail('uncaught exception', error));
    process.on('unhandledRejection', (reason) => this.fail('unhandled rejection', reason));
  }

  /** The member runs; from now on signals stop it in order. */
  watch(server: Server): void {
    this.#server = server;
    void server.failed.then((cause) => {
      if (cause instanceof MemberRemovedError) this.#removed(cause);
      else this.fail('the member cannot go on', cause);
    });
  }

  /** Ends the process with the diagnosis. */
  fail(what: string, cause: unknown): void {
    this.logger.fatal(what, { error: messageOf(cause), stack: isDefect(cause) ? stackOf(cause) : undefined });
    void this.#exit(exitFailed);
  }

  /** What somebody asked for is done, and nothing is wrong: the process ends as after a signal, as etcd's does. */
  #removed(cause: MemberRemovedError): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.logger.warn('this member was removed from the cluster; the process ends', { reason: cause.message });
    void this.#stop();
  }

  #signalled(signal: string): void {
    this.logger.info('received signal', { signal });
    if (this.#isEnding) process.exit(exitForced);
    this.#isEnding = true;
    void this.#stop();
  }

  async #stop(): Promise<void> {
    const timer = setTimeout(
      () => this.fail('stopping took too long', `more than ${stopTimeoutMs} ms`),
      stopTimeoutMs,
    );
    timer.unref();
    try {
      await this.#server?.stop();
    } catch (error) {
      this.fail('stopping failed', error);
      return;
    }
    await this.#exit(exitOk);
  }

  #reload(): void {
    try {
      this.#server?.reloadTls();
      this.logger.info('certificates were read again');
    } catch (error) {
      this.logger.error('certificates cannot be read; the old ones stay in use', { error: messageOf(error) });
    }
  }

  async #exit(code: number): Promise<void> {
    this.#isEnding = true;
    await this.sink.flush(flushTimeoutMs);
    process.exit(code);
  }
}

/** Errors of the system and errors with a class of their own explain themselves; for all others the place matters. */
function isDefect(error: unknown): boolean {
  if (!(error instanceof Error) || 'code' in error) return false;
  return /^(Error|TypeError|RangeError|ReferenceError|SyntaxError|AssertionError)$/.test(error.name);
}

/** The messages of an error and of what caused it. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}

function stackOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause = stackOf(error.cause);
  return cause === undefined ? error.stack : `${error.stack}\ncaused by ${cause}`;
}
