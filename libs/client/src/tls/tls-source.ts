import { readFile } from 'node:fs/promises';
import { durationMs } from '../duration.js';
import { InvalidArgumentError, TlsError } from '../errors.js';
import { type ClientWarning } from '../host.js';
import { type Clock, type Timer } from '../runtime.js';
import { type TlsOptions } from '../transport.js';
import { areFiles, checkTls, faultOf, type TlsFiles } from './tls-options.js';

/** Reads whole files; rejects with the system's error. */
export type ReadPemFile = (path: string) => Promise<Uint8Array>;

/** Where the options of the next encrypted connection come from. */
export interface TlsSource {
  /** Undefined: no TLS options. @throws TlsError (rejects) when there never were usable ones. */
  next(): Promise<TlsOptions | undefined>;
  stop(): void;
}

export interface TlsSourceOptions {
  readonly clock: Clock;
  readonly warn: (warning: ClientWarning) => void;
  /** Default: the files of this machine. */
  readonly readFile?: ReadPemFile;
}

/** @throws InvalidArgumentError for options that cannot work. Missing files are no reason: they may come. */
export function tlsSource(tls: TlsOptions | TlsFiles | undefined, options: TlsSourceOptions): TlsSource {
  if (tls !== undefined) checkTls(tls);
  if (tls !== undefined && areFiles(tls)) return new FileTlsSource(tls, options);
  return { next: () => Promise.resolve(tls), stop: () => undefined };
}

/** A file is replaced before or after the one that belongs to it: such a pair is looked at again after so long. */
const secondLookMs = 1_000;

/**
 * Certificates from files.
 *
 * Invariant: `good` is a set that was found usable as a whole, and the newest such one that was seen.
 */
class FileTlsSource implements TlsSource {
  private good: TlsOptions | undefined;
  private looking: Promise<string | undefined> | undefined;
  private timer: Timer | undefined;
  private readonly everyMs: number;
  private failures = 0;
  private hasWarned = false;
  private isStopped = false;

  constructor(
    private readonly files: TlsFiles,
    private readonly options: TlsSourceOptions,
  ) {
    this.everyMs = durationMs(files.reloadEvery ?? '1m', 'tls.reloadEvery');
    if (this.everyMs <= 0) throw new InvalidArgumentError('tls.reloadEvery: must be longer than nothing');
  }

  async next(): Promise<TlsOptions | undefined> {
    const fault = await this.look();
    if (this.good !== undefined) return this.good;
    throw new TlsError('files', `tls: ${fault ?? 'the files could not be read'}`);
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  /** Reads all files once; calls meanwhile share the look. Gives what is wrong. */
  private look(): Promise<string | undefined> {
    this.looking ??= this.read()
      .then((found) => this.take(found))
      .finally(() => {
        this.looking = undefined;
      });
    return this.looking;
  }

  private take(found: TlsOptions | string): string | undefined {
    const fault = typeof found === 'string' ? found : faultOf(found);
    if (fault === undefined && typeof found !== 'string') {
      this.good = found;
      this.failures = 0;
      this.hasWarned = false;
    } else {
      this.failures += 1;
    }
    // Half a replacement is no reason for alarm; what is still wrong at the next look is.
    if (fault !== undefined && this.failures > 1) this.warnOnce(fault);
    this.arm(this.failures === 1 ? Math.min(secondLookMs, this.everyMs) : this.everyMs);
    return fault;
  }

  private async read(): Promise<TlsOptions | string> {
    const { caFile, certFile, keyFile, serverName } = this.files;
    const faults: string[] = [];
    const read = async (option: string, path: string | undefined): Promise<Uint8Array | undefined> => {
      if (path === undefined) return undefined;
      try {
        return await (this.options.readFile ?? readFile)(path);
      } catch (error) {
        faults.push(
          `${option}: ${path} cannot be read (${error instanceof Error ? error.message : String(error)})`,
        );
        return undefined;
      }
    };
    const [ca, cert, key] = await Promise.all([
      read('caFile', caFile),
      read('certFile', certFile),
      read('keyFile', keyFile),
    ]);
    if (faults.length > 0) return faults.join('; ');
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === undefined ? {} : { serverName }),
    };
  }

  private warnOnce(fault: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    const consequence =
      this.good === undefined ? 'no encrypted connection can be made' : 'the last good ones stay in use';
    this.options.warn({ code: 'tls-files-unusable', message: `tls: ${fault}; ${consequence}` });
  }

  private arm(delayMs: number): void {
    this.timer?.cancel();
    if (this.isStopped) return;
    this.timer = this.options.clock.setTimer(delayMs, () => void this.look());
  }
}
