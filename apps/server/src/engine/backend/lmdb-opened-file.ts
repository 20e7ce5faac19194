import { baseName, type Disk, parentPath } from '../platform/disk.js';
import { type AppliedMark } from './backend.js';
import { damagedFile } from './lmdb-error.js';
import { type FlushListener, FlushThread } from './flush-thread.js';
import { prepareFile } from './lmdb-header.js';
import { LmdbReader } from './lmdb-reader.js';
import { type LmdbOptions } from './lmdb-tables.js';

/** An LMDB file that is open on both threads: here for reading, in the flush thread for writing. */
export class OpenedFile {
  private constructor(
    readonly options: LmdbOptions,
    readonly reader: LmdbReader,
    readonly thread: FlushThread,
  ) {}

  /** Opens the file, or makes it. @throws BackendError, DiskError */
  static async open(
    options: LmdbOptions,
    disk: Pick<Disk, 'open' | 'syncDirectory'>,
    listener: FlushListener,
  ): Promise<OpenedFile> {
    const directory = parentPath(options.path);
    await prepareFile(disk, directory, baseName(options.path));
    const reader = LmdbReader.open(options);
    try {
      await disk.syncDirectory(directory);
      return new OpenedFile(options, reader, await FlushThread.start(options, listener));
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /** @throws BackendError when the file holds another state. */
  checkMark(wanted: AppliedMark): void {
    const { index, term } = this.reader.readMark();
    if (index === wanted.index && term === wanted.term) return;
    throw damagedFile(this.options.path, `it was sealed as entry ${wanted.index}, but holds entry ${index}`);
  }

  /** Waits for the flush in progress, without reporting it. */
  async close(): Promise<void> {
    await this.thread.close();
    await this.reader.close();
  }
}
