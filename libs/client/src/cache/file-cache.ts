import { encodeSegment } from '@conclave/config-model';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { type CacheFiles, nodeCacheFiles } from './cache-files.js';
import { decodeCachedState, encodeCachedState, type SecretHandling } from './cache-format.js';
import { type CachedState, type CacheStore, type PinnedState } from './cache-store.js';
import { decodePinned } from './pinned-format.js';
import { type ConfigWarningCode, type OnConfigWarning, processWarning } from './warning.js';

export interface FileCacheOptions {
  /** Default: `conclave` under $XDG_CACHE_HOME, else `conclave-<uid>` in the temporary folder, which must belong to this user. */
  readonly directory?: string;
  /** Which keys of the store have values that must not lie on a disk in clear. Default: none. */
  readonly secrets?: (key: string) => boolean;
  /** 32 bytes: encrypts the values of secret keys (AES-256-GCM). Without it they are left out. */
  readonly key?: Uint8Array;
  /** Default: a warning of the process. */
  readonly onWarning?: OnConfigWarning;
  /** Default: the files of this machine. */
  readonly files?: CacheFiles;
}

/**
 * Caches as files of mode 0600: `<id>.cache`, written beside and renamed, so that a crash at any moment leaves the old or the new
 * state whole; and `<id>.pinned.json`, which an operator writes. The names of an id are joined with `+`.
 *
 * @throws InvalidArgumentError when `key` has not 32 bytes.
 */
export function fileCache(options: FileCacheOptions = {}): CacheStore {
  return new FileCache(options);
}

interface WaitingSave {
  state: CachedState;
  readonly done: Promise<void>;
}

/** Invariant: of each id at most one write is under way, and at most one state waits behind it: the newest. */
class FileCache implements CacheStore {
  private readonly directory: string;
  private readonly isDefault: boolean;
  private readonly secrets: SecretHandling;
  private readonly warning: OnConfigWarning;
  private readonly files: CacheFiles;
  private readonly writing = new Map<string, Promise<void>>();
  private readonly waiting = new Map<string, WaitingSave>();

  constructor(options: FileCacheOptions) {
    if (options.key !== undefined && options.key.length !== 32) {
      throw new InvalidArgumentError(`key: has ${options.key.length} bytes; AES-256 needs 32`);
    }
    const cacheHome = process.env['XDG_CACHE_HOME'];
    this.isDefault = options.directory === undefined && !cacheHome;
    const chosen = options.directory ?? (cacheHome ? join(cacheHome, 'conclave') : temporaryFolder());
    this.directory = resolve(chosen);
    this.secrets = { isSecret: options.secrets ?? (() => false), key: options.key };
    this.warning = options.onWarning ?? processWarning;
    this.files = options.files ?? nodeCacheFiles;
  }

  async load(id: readonly string[]): Promise<CachedState | undefined> {
    const path = this.pathOf(id, 'cache');
    try {
      const file = await this.files.read(path);
      if (file === undefined) return undefined;
      const { state, unopened } = decodeCachedState(id, file, this.secrets);
      if (unopened > 0) {
        this.warn(
          'cache-unusable',
          `${path}: ${unopened} of its secret values cannot be opened with this key; they are left out`,
        );
      }
      return state;
    } catch (error) {
      this.warn('cache-unusable', `${path} is not used: ${messageOf(error)}; remove it if it stays so`);
      return undefined;
    }
  }

  async pinned(id: readonly string[]): Promise<PinnedState | undefined> {
    const path = this.pathOf(id, 'pinned.json');
    try {
      const file = await this.files.read(path);
      return file === undefined ? undefined : decodePinned(file.toString('utf8'), path);
    } catch (error) {
      this.warn('pinned-unusable', `${path} is not used: ${messageOf(error)}`);
      return undefined;
    }
  }

  save(id: readonly string[], state: CachedState): Promise<void> {
    const path = this.pathOf(id, 'cache');
    const waiting = this.waiting.get(path);
    if (waiting !== undefined) {
      waiting.state = state;
      return waiting.done;
    }
    const before = this.writing.get(path);
    if (before === undefined) return this.begin(path, id, state);
    const next: WaitingSave = {
      state,
      done: before.then(() => {
        this.waiting.delete(path);
        return this.begin(path, id, next.state);
      }),
    };
    this.waiting.set(path, next);
    return next.done;
  }

  private begin(path: string, id: readonly string[], state: CachedState): Promise<void> {
    const done = this.write(path, id, state)
      .catch((error: unknown) =>
        this.warn('cache-not-written', `${path} could not be written: ${messageOf(error)}`),
      )
      .finally(() => {
        if (this.writing.get(path) === done) this.writing.delete(path);
      });
    this.writing.set(path, done);
    return done;
  }

  private async write(path: string, id: readonly string[], state: CachedState): Promise<void> {
    // Processes that share the folder write beside each other; what a crashed one left is overwritten by the next of its number.
    const beside = `${path}.${process.pid}.tmp`;
    await this.files.makeFolder(this.directory, this.isDefault);
    try {
      await this.files.write(beside, encodeCachedState(id, state, this.secrets));
      await this.files.rename(beside, path);
    } catch (error) {
      await this.files.remove(beside).catch(() => undefined);
      throw error;
    }
    await this.files.syncFolder(this.directory);
  }

  private pathOf(id: readonly string[], ending: string): string {
    return join(this.directory, `${id.map((name) => encodeSegment(name)).join('+')}.${ending}`);
  }

  private warn(code: ConfigWarningCode, message: string): void {
    this.warning({ code, message });
  }
}

function temporaryFolder(): string {
  return join(tmpdir(), `conclave-${process.getuid?.() ?? 'user'}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
