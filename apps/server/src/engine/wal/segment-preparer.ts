import { assert } from '../platform/assert.js';
import { type Clock, type Timer } from '../platform/clock.js';
import { DiskError, joinPath, removeIfThere, type Disk, type DiskFile } from '../platform/disk.js';
import { type KeptSegment } from './recovery.js';
import { temporaryName } from './segment-name.js';

const fillBytes = 1024 * 1024;
const retryMs = 1000;

/**
 * A file that is durable but for its name: appends into it change neither its size nor its blocks. It is full of zeros,
 * or of what an earlier segment held.
 */
export interface PreparedSegment {
  readonly file: DiskFile;
  readonly sequence: number;
  /** Bytes that may be appended without growing the file. */
  readonly capacity: number;
}

export interface PreparerOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  /** Size of a segment, a multiple of 8. */
  readonly segmentBytes: number;
  /** A smaller segment is prepared only when space is short, and none below this size. */
  readonly segmentBytesMin: number;
}

/** What the preparer tells its log. */
export interface PreparerListener {
  /** A segment can be taken. */
  prepared(): void;
  /** Space ran out; it is tried again every second. Called once until a segment could be prepared. */
  outOfSpace(error: DiskError): void;
  /** Any other error. Nothing is tried again. */
  failed(error: unknown): void;
}

/** The file of a segment that is no longer part of the log, and durably so. */
interface SpareFile {
  readonly path: string;
  readonly capacity: number;
}

/**
 * Prepares one segment ahead, in the background: from a spare file, else by filling a new one with zeros, which costs as
 * many writes as the log itself.
 *
 * Invariants: at most one file is being prepared or ready, and its sequence follows that of the segment in use; besides
 * it there is at most one spare.
 */
export class SegmentPreparer {
  private prepared: PreparedSegment | undefined;
  private spare: SpareFile | undefined;
  private running: Promise<void> | undefined;
  private retry: Timer | undefined;
  private sequence = 0;
  private bytesNeeded = 0;
  private capacity: number;
  private shortOfSpace = false;
  private closed = false;

  constructor(
    private readonly options: PreparerOptions,
    private readonly listener: PreparerListener,
  ) {
    this.capacity = options.segmentBytes;
  }

  /** Whether space was short when it was last tried. */
  get isShortOfSpace(): boolean {
    return this.shortOfSpace;
  }

  /** Starts to prepare the segment `sequence`. */
  start(sequence: number): void {
    assert(this.prepared === undefined, 'one segment is prepared at a time');
    this.sequence = sequence;
    this.bytesNeeded = 0;
    this.run();
  }

  /**
   * The prepared segment if it can hold `bytes`; else undefined, and `prepared` of the listener is called when there is one. A prepared
   * segment that is too small is replaced.
   */
  take(bytes: number): PreparedSegment | undefined {
    this.bytesNeeded = bytes;
    const prepared = this.prepared;
    if (prepared === undefined) {
      this.run();
      return undefined;
    }
    this.prepared = undefined;
    if (prepared.capacity >= bytes) return prepared;
    this.run(prepared.file);
    return undefined;
  }

  /**
   * Takes a segment out of the log: its file is kept as the spare, if none is there and it has the usual size, or
   * removed. Its name is gone durably before anything else is written into it.
   */
  async retire(segment: KeptSegment): Promise<void> {
    const { disk, directory, segmentBytes } = this.options;
    const { path, sequence, capacity } = segment;
    const spare = { path: joinPath(directory, temporaryName(sequence)), capacity };
    const keeps = this.spare === undefined && capacity === segmentBytes && !this.closed;
    if (keeps) await disk.rename(path, spare.path);
    else await disk.remove(path);
    await disk.syncDirectory(directory);
    if (!keeps) return;
    if (this.closed) await disk.remove(spare.path);
    else this.spare = spare;
  }

  /** Ends the preparation and removes what was prepared. */
  async close(): Promise<void> {
    this.closed = true;
    this.retry?.cancel();
    await this.running;
    const prepared = this.prepared;
    this.prepared = undefined;
    if (prepared !== undefined) await discardFile(this.options.disk, prepared.file);
    const spare = this.spare;
    this.spare = undefined;
    if (spare !== undefined) await this.options.disk.remove(spare.path);
  }

  private run(discard?: DiskFile): void {
    if (this.closed || this.running !== undefined || this.retry !== undefined) return;
    this.running = this.prepare(discard).then(
      () => {
        this.running = undefined;
        if (this.prepared !== undefined && !this.closed) this.listener.prepared();
      },
      (error: unknown) => {
        this.running = undefined;
        this.failed(error);
      },
    );
  }

  private failed(error: unknown): void {
    if (!(error instanceof DiskError) || !error.isNoSpace) {
      this.closed = true;
      this.listener.failed(error);
      return;
    }
    this.capacity = Math.max(this.options.segmentBytesMin, Math.floor(this.capacity / 16) * 8);
    if (!this.closed) {
      this.retry = this.options.clock.after(retryMs, () => {
        this.retry = undefined;
        this.run();
      });
    }
    if (this.shortOfSpace) return;
    this.shortOfSpace = true;
    this.listener.outOfSpace(error);
  }

  private async prepare(discard: DiskFile | undefined): Promise<void> {
    const { disk, directory } = this.options;
    if (discard !== undefined) await discardFile(disk, discard);
    const capacity = Math.max(this.capacity, this.bytesNeeded);
    this.prepared =
      (await this.takeSpare()) ??
      (await prepareSegment(disk, directory, this.sequence, capacity, () => this.closed));
    this.capacity = this.options.segmentBytes;
    this.shortOfSpace = false;
  }

  private async takeSpare(): Promise<PreparedSegment | undefined> {
    const { spare, sequence } = this;
    if (spare === undefined) return undefined;
    this.spare = undefined;
    const file = await this.options.disk.open(spare.path, 'edit');
    return { file, sequence, capacity: spare.capacity };
  }
}

/** Creates a segment file of zeros. When that fails, nothing is left of it. `stopped` ends the work early. */
export async function prepareSegment(
  disk: Disk,
  directory: string,
  sequence: number,
  bytes: number,
  stopped: () => boolean,
): Promise<PreparedSegment> {
  const path = joinPath(directory, temporaryName(sequence));
  await removeIfThere(disk, path);
  const file = await disk.open(path, 'create');
  const capacity = Math.ceil(bytes / 8) * 8;
  try {
    await fillZero(file, capacity, stopped);
  } catch (error) {
    await discardFile(disk, file);
    throw error;
  }
  return { file, sequence, capacity };
}

async function discardFile(disk: Disk, file: DiskFile): Promise<void> {
  await file.close();
  await removeIfThere(disk, file.path);
}

/**
 * Syncs each part before the next: a device that has to take a whole segment at once would delay the appends that run
 * beside it.
 */
async function fillZero(file: DiskFile, capacity: number, stopped: () => boolean): Promise<void> {
  for (let at = 0; at < capacity && !stopped(); at += fillBytes) {
    await file.fill(at, Math.min(fillBytes, capacity - at));
    await file.sync();
  }
}
