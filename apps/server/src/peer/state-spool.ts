import { createHash, type Hash } from 'node:crypto';
import { type Disk, DiskError, type DiskFile, joinPath, removeIfThere } from '../engine/platform/disk.js';
import { type StateHeader } from './state-codec.js';

/** The state's digest is not the sender's, although every chunk was right. */
export class WrongDigestError extends Error {
  override readonly name = 'WrongDigestError';
}

/** Removes what transfers left behind that the last process did not finish. @throws DiskError */
export async function clearSpools(disk: Disk, directory: string): Promise<number> {
  let names: readonly string[];
  try {
    names = await disk.list(directory);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return 0;
    throw error;
  }
  for (const name of names) await removeIfThere(disk, joinPath(directory, name));
  if (names.length > 0) await disk.syncDirectory(directory);
  return names.length;
}

/**
 * The file that a state is received into.
 *
 * Invariant: `received` bytes were accepted in order and given to the disk; `#hash` covers exactly these.
 */
export class StateSpool {
  received = 0;
  readonly #hash: Hash = createHash('sha256');

  private constructor(
    private readonly disk: Disk,
    private readonly directory: string,
    readonly header: StateHeader,
    private readonly file: DiskFile,
    private readonly name: string,
  ) {}

  /** @throws DiskError */
  static async create(disk: Disk, directory: string, header: StateHeader): Promise<StateSpool> {
    await disk.makeDirectory(directory);
    const name = `${header.index.toString(16).padStart(16, '0')}-${header.transfer.toString(16).padStart(16, '0')}`;
    const path = joinPath(directory, `${name}.part`);
    // The same transfer may have been discarded and begun anew.
    await removeIfThere(disk, path);
    return new StateSpool(disk, directory, header, await disk.open(path, 'create'), name);
  }

  /** Appends the next bytes. Resolves when the disk took them. @throws DiskError */
  async append(data: Uint8Array): Promise<void> {
    const at = this.received;
    this.received += data.length;
    this.#hash.update(data);
    await this.file.write(at, data);
  }

  /**
   * Checks the whole and makes it durable under its final name.
   *
   * @returns The path of the file.
   * @throws WrongDigestError, DiskError
   */
  async finish(digest: Uint8Array): Promise<string> {
    if (!this.#hash.copy().digest().equals(digest)) {
      throw new WrongDigestError('the digest of the whole state is wrong');
    }
    await this.file.sync();
    await this.file.close();
    const path = joinPath(this.directory, `${this.name}.state`);
    await this.disk.rename(joinPath(this.directory, `${this.name}.part`), path);
    await this.disk.syncDirectory(this.directory);
    return path;
  }

  /** Gives the file up. @throws DiskError */
  async discard(): Promise<void> {
    await this.file.close();
    await removeIfThere(this.disk, joinPath(this.directory, `${this.name}.part`));
  }
}
