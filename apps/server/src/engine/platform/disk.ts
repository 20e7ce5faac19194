/**
 * All persistent bytes of the engine pass through a `Disk`: `NodeDisk` in production, `SimulatedDisk` under the
 * simulator and the crash tests. Both pass `disk-contract.spec.ts`.
 *
 * What a crash (power loss, kernel panic) may do, and what the engine therefore relies on:
 * - Bytes written to a file may be lost, kept or kept in part, per sector and in any order, until a later `sync` of that file
 *   completes. The size is such a change too.
 * - Entries of a directory (create, rename, remove) may be lost or kept, in any order between names, until a later
 *   `syncDirectory` completes. A rename is atomic.
 * - A process that dies without the machine loses nothing that was written, but cannot tell what was synced.
 * - After a failed `sync` the pages may count as clean although the device never got them. So no sync is ever repeated.
 *
 * Effects of one file take place in the order of the calls. Effects on different files may overlap.
 */
export interface Disk {
  /** Names inside a directory, sorted, without `.` and `..`. */
  list(directory: string): Promise<readonly string[]>;
  /** Creates the directory and missing parents, mode 0700, with durable entries. Does nothing when it is there. */
  makeDirectory(directory: string): Promise<void>;
  /**
   * `create`: a new empty file for reading and writing, mode 0600; refused (EEXIST) when the name is taken. `edit`: an existing file
   * for reading and writing. `read`: an existing file for reading.
   */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Replaces `to` when it exists. Both names are in the same directory. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes all earlier changes of the directory's entries durable. */
  syncDirectory(directory: string): Promise<void>;
  /** The one path for log appends; at most one at a time per disk. */
  openLogWriter(listener: LogWriterListener): LogWriter;
  /** Releases threads. All files are closed before. Idempotent. */
  close(): Promise<void>;
}

export type OpenMode = 'create' | 'edit' | 'read';

/** An open file. Calls reject with `DiskError`. Offsets and lengths are bytes. */
export interface DiskFile {
  /** For diagnosis: where the file was opened. Whoever renames an open file sets it. */
  path: string;
  size(): Promise<number>;
  /** Up to `length` bytes; fewer only at the end of the file. The array belongs to the caller. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** All of `bytes`, copied at the call; grows the file when needed. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** As `write` with `length` zero bytes. Keep `length` at a few MiB: everything else on this file waits meanwhile. */
  fill(offset: number, length: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** fdatasync: makes the content and the size durable. */
  sync(): Promise<void>;
  /** Idempotent. Not a sync. */
  close(): Promise<void>;
}

/** Memory that a log writer takes without a copy. */
export interface LogBuffer {
  readonly bytes: Uint8Array;
}

/** Called once for each `LogWriter.write`, in order; after `onWriteFailed` never again. */
export interface LogWriterListener {
  /** Times are milliseconds; `syncMs` is 0 for a write without sync. */
  onWritten(writeMs: number, syncMs: number): void;
  onWriteFailed(error: DiskError): void;
}

/**
 * Appends with the shortest way to the disk: one write and, if asked for, one fdatasync, off the calling thread, without a copy.
 * One write is in flight at a time; the caller fills another buffer meanwhile.
 */
export interface LogWriter {
  /** A zero-filled buffer. It stays registered until `release`. */
  allocate(bytes: number): LogBuffer;
  /** The buffer is not in flight and is not used again. */
  release(buffer: LogBuffer): void;
  /**
   * Writes the first `length` bytes of `buffer` at `offset`, then syncs the file when `sync` is true (`length` may then be 0). The
   * buffer is left alone until the listener was called.
   */
  write(file: DiskFile, offset: number, buffer: LogBuffer, length: number, sync: boolean): void;
  /** Nothing is in flight. Idempotent. */
  close(): void;
}

export type DiskOperation =
  | 'list'
  | 'make directory'
  | 'open'
  | 'size'
  | 'read'
  | 'write'
  | 'fill'
  | 'truncate'
  | 'sync'
  | 'close'
  | 'rename'
  | 'remove'
  | 'sync directory';

/** An operation of a disk failed. `code` is the name of the errno (`EIO`, `ENOSPC`, ...). */
export class DiskError extends Error {
  override readonly name = 'DiskError';

  constructor(
    readonly operation: DiskOperation,
    readonly path: string,
    readonly code: string,
    /** Where in the file, for operations that have a place. */
    readonly offset?: number,
    options?: ErrorOptions,
  ) {
    const place = offset === undefined ? '' : ` at offset ${offset}`;
    super(`${operation} of ${path}${place} failed: ${code}`, options);
  }

  /** The disk, or this user's share of it, is full. */
  get isNoSpace(): boolean {
    return this.code === 'ENOSPC' || this.code === 'EDQUOT' || this.code === 'EFBIG';
  }
}

/** Joins names to a path; the only path arithmetic that the engine needs. */
export function joinPath(directory: string, name: string): string {
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
}

/** The directory that holds `path`. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

/** The last part of `path`. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Removes a file that may not be there. @throws DiskError for any other reason. */
export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
  }
}
