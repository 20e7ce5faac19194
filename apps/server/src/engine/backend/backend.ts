/**
 * The contract of a backend: an ordered store of applied state, held as an in-memory generation over a file.
 *
 * Keys are byte strings: JavaScript strings with one character (0 to 255) per byte, so that string order is byte order
 * and strings serve as map keys without copies. Values are bytes that the backend does not look into.
 *
 * A backend is not a source of durability (the write-ahead log is): after a crash its state is the state at some
 * `setApplied` boundary T with `flushed <= T <= applied`, exactly, and the log is replayed from there. The applied
 * index is stored in the same transaction as the rows it covers.
 *
 * All reads and writes are synchronous, on one thread, and see everything written before them.
 */
export type ByteString = string;

/**
 * head: key to its newest version. lease: lease id to its grant. leaseKey: lease id followed by key, to nothing.
 * meta: names to counters, formats and hash chains. The log has methods of its own, because its keys are revisions.
 */
export type Table = 'head' | 'lease' | 'leaseKey' | 'meta';

/** A change is identified by the revision of its transaction and its position inside it. */
export interface LogPosition {
  /** Revision of the transaction, at least 1. */
  readonly main: number;
  /** Position within the transaction, from 0. */
  readonly sub: number;
}

/** How far the state machine has come: what the backend holds is the result of exactly the entries up to `index`. */
export interface AppliedMark {
  /** Raft index of the last applied entry; 0 before the first. */
  readonly index: number;
  /** Raft term of that entry. */
  readonly term: number;
}

export interface ScanOptions {
  /** Descending order; the range stays [from, to). */
  readonly reverse?: boolean;
}

/** What was read is valid until the next call into the backend; copy what must live longer. Never write into it. */
export interface BackendReader {
  get(table: Table, key: ByteString): Uint8Array | undefined;
  /**
   * Visits the rows with `from <= key < to` (`to` undefined: no upper bound) in key order. `visit` returns false to
   * stop, and must not write into the backend. Within a visit only the row at hand is valid.
   */
  scan(
    table: Table,
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions,
    visit: (key: ByteString, value: Uint8Array) => boolean | void,
  ): void;
  /** Number of rows with `from <= key < to`; must not visit values. */
  count(table: Table, from: ByteString, to: ByteString | undefined): number;
  getLog(main: number, sub: number): Uint8Array | undefined;
  /** Visits log rows with `from <= (main, sub) < to` in ascending order; false stops. Same rules as `scan`. */
  scanLog(
    from: LogPosition,
    to: LogPosition | undefined,
    visit: (main: number, sub: number, row: Uint8Array) => boolean | void,
  ): void;
}

export interface Backend extends BackendReader {
  /** Keys may have any length from 0 on, also longer than what the file's own keys can hold. `value` is copied. */
  put(table: Table, key: ByteString, value: Uint8Array): void;
  /** Deleting what is not there does nothing. */
  delete(table: Table, key: ByteString): void;
  /** Positions are strictly ascending over the life of the store. `row` is copied. */
  appendLog(main: number, sub: number, row: Uint8Array): void;
  deleteLog(main: number, sub: number): void;
  /**
   * Ends the effects of one entry: everything written since the last call belongs to it. Generations close only at
   * such a boundary. `mark.index` never decreases.
   */
  setApplied(mark: AppliedMark): void;
  readonly applied: AppliedMark;
  /** The mark up to which the file is known to be durable; the log may be cut at this index. */
  readonly flushed: AppliedMark;
  /** Called after each flush became durable, with the new `flushed`. One listener. */
  onFlushed: ((mark: AppliedMark) => void) | undefined;
  /** Called whenever a flush is put off for lack of space, again after each attempt in vain. One listener. */
  onNoSpace: (() => void) | undefined;
  /** Called once when a flush failed for good: the member must stop. One listener. */
  onFailure: ((error: Error) => void) | undefined;
  /**
   * Closes the open generation now and resolves when everything applied so far is durable. Stays pending when the
   * backend is closed, or fails, before that.
   */
  flush(): Promise<void>;
  /**
   * Writes the state at a flushed boundary into one sealed file (see snapshot/state-seal.ts), durably, while writing goes
   * on: the newest that is flushed when it begins, or a later one. Call `flush` before for all that is applied.
   * `path` is replaced when it exists; its directory must be there. Any number of copies may be under way.
   *
   * @throws BackendError, DiskError; then there is no new file at `path`.
   */
  copyTo(path: string): Promise<StateCopy>;
  /**
   * Makes a state that another member's `copyTo` wrote the state of this member, durably: a crash at any time leaves the
   * old state or the new one, whole. Reads and writes go to the old state until, at one moment, the new one takes its
   * place, and what was written meanwhile is gone. That must not be between the writes of an entry. What `flush` promised is kept by
   * the new state, which is further on. `onFlushed` is not called. The file at `path` is only read, and the caller's to
   * remove. Installs take turns.
   *
   * @param wanted What the sender said that the file holds; must be ahead of `applied`.
   * @param onInstalled Called at that moment: whatever keeps parts of the state in memory reads them anew here.
   * @param isWanted Asked once all that may fail without harm is done (the copy, its checks, its space on the disk), and
   * nothing has changed yet: false, or an error, gives the install up.
   * @throws SnapshotError when the file is damaged, of a newer format, or not the wanted state (any more); BackendError,
   * DiskError. The old state is in use then, as if nothing had happened; only if even that cannot be said,
   * `onFailure` is called too.
   */
  install(
    path: string,
    wanted: AppliedMark,
    onInstalled: () => void,
    isWanted?: () => boolean,
  ): Promise<void>;
  /** The mark of the state that was installed last, also by an earlier process; undefined when none ever was. */
  readonly installed: AppliedMark | undefined;
  /** Bytes that the state takes up: in the file, and in rows that are not in it yet. Asked for with each write. */
  readonly spaceInUse: number;
  readonly stats: BackendStats;
  /** Flushes nothing; waits for copies and installs; releases files and threads. Idempotent. */
  close(): Promise<void>;
}

/** A state file that was made. */
export interface StateCopy {
  /** What it holds the effects of. */
  readonly mark: AppliedMark;
  /** Size of the file. */
  readonly bytes: number;
}

/** Figures for metrics and Status. */
export interface BackendStats {
  /** Size of the file in bytes. */
  readonly fileBytes: number;
  /** Bytes of it in use. */
  readonly usedBytes: number;
  /** Transactions that read the file: the one for all requests, and those of copies of the state. */
  readonly openReads: number;
  readonly generationRows: number;
  readonly generationBytes: number;
  /** Applied entries that are not yet durable in the file. */
  readonly flushLagEntries: number;
  /**
   * True while flushing cannot keep up with writing, or cannot proceed: the owner accepts no new proposals until it is
   * false again. What is committed already may still be applied.
   */
  readonly mustPushBack: boolean;
  /** Why the last attempt to flush was put off, while it is: lack of space. Nothing is lost; it is tried again. */
  readonly noSpace: string | undefined;
  /** Duration of the last flush in milliseconds; 0 before the first. */
  readonly lastFlushMs: number;
}
