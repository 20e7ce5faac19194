import { assert } from '../platform/assert.js';
import { joinPath, type Disk } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { type Entry } from '../raft/message.js';
import { SnapshotError } from './snapshot-error.js';
import { SnapshotReader, SnapshotWriter } from './snapshot-file.js';
import { type SnapshotDescription, type SnapshotMark } from './snapshot-format.js';

const namePattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;
const temporarySuffix = '.snap.tmp';

export interface SnapshotterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly logger: Logger;
  readonly clusterId: bigint;
  /** Snapshots that are kept, at least 1; 3 when not given. */
  readonly keep?: number;
}

/** A snapshot that could not be used. */
export interface BrokenSnapshot {
  readonly path: string;
  readonly reason: string;
}

export interface LoadedSnapshot {
  readonly path: string;
  readonly description: SnapshotDescription;
  /** Newer ones that were passed over. */
  readonly broken: readonly BrokenSnapshot[];
}

interface SnapshotName {
  readonly name: string;
  readonly term: number;
  readonly index: number;
}

/** What a log holds: everything after its mark. */
export interface LogContent {
  readonly mark: SnapshotMark;
  /** Consecutive, from `mark.index + 1`. */
  readonly entries: readonly Entry[];
}

/** Whether a member can go on from a snapshot at `mark` with this log: no entry between them is missing. */
export function connectsTo(log: LogContent, mark: SnapshotMark): boolean {
  if (mark.index < log.mark.index) return false;
  if (mark.index === log.mark.index) return mark.term === log.mark.term;
  const entry = log.entries[mark.index - log.mark.index - 1];
  return entry === undefined || entry.term === mark.term;
}

/**
 * Keeps the restart points of a member: files `<term, 16 hex>-<index, 16 hex>.snap`, each the mark of a log and, where the backend does not hold
 * it, the state itself. A restart point is saved before the log is marked and cut, so the newest one that is intact and connects to
 * the log is where a member starts.
 *
 * One call at a time.
 */
export class Snapshotter {
  private readonly keep: number;

  private constructor(private readonly options: SnapshotterOptions) {
    this.keep = options.keep ?? 3;
    assert(this.keep >= 1, 'the newest snapshot is kept');
  }

  /** Creates the directory when it is missing, and removes what an interrupted save has left. @throws DiskError */
  static async open(options: SnapshotterOptions): Promise<Snapshotter> {
    const { disk, directory } = options;
    await disk.makeDirectory(directory);
    for (const name of await disk.list(directory)) {
      if (name.endsWith(temporarySuffix)) await disk.remove(joinPath(directory, name));
    }
    return new Snapshotter(options);
  }

  /**
   * Saves a restart point, durably, and removes the oldest beyond those that are kept. `payload` is the state, when it belongs into
   * the file. @throws DiskError; then nothing has changed.
   */
  async save(
    mark: SnapshotMark,
    clusterVersion: string,
    payload: Iterable<Uint8Array> | AsyncIterable<Uint8Array> = [],
  ): Promise<string> {
    const { disk, clusterId } = this.options;
    const path = this.path(mark.term, mark.index);
    const writer = await SnapshotWriter.create(disk, path, { clusterId, clusterVersion, mark });
    try {
      for await (const part of payload) await writer.write(part);
      await writer.finish();
    } catch (error) {
      // The first error is the one that matters.
      await writer.abort().catch(() => {});
      throw error;
    }
    await this.removeOld();
    return path;
  }

  /**
   * The newest snapshot that is intact and for which `connects` holds; undefined when there is no snapshot at all. Broken ones are
   * reported and left alone.
   *
   * @throws SnapshotError when there are snapshots but none can be used, or one is of a newer format or another cluster.
   */
  async load(connects: (mark: SnapshotMark) => boolean): Promise<LoadedSnapshot | undefined> {
    const names = await this.names();
    const broken: BrokenSnapshot[] = [];
    for (const name of names) {
      const path = joinPath(this.options.directory, name.name);
      try {
        const description = await this.verify(path, name);
        if (connects(description.mark)) return { path, description, broken };
        broken.push({ path, reason: 'entries between it and the log are missing' });
      } catch (error) {
        if (!(error instanceof SnapshotError) || error.code !== 'corrupt') throw error;
        broken.push({ path, reason: error.message });
      }
      this.options.logger.warn('snapshot cannot be used', { path, reason: broken.at(-1)!.reason });
    }
    if (names.length === 0) return undefined;
    const reasons = broken.map(({ path, reason }) => `${path}: ${reason}`).join('; ');
    throw new SnapshotError(
      'corrupt',
      this.options.directory,
      `no snapshot in ${this.options.directory} can be used: ${reasons}. Remove this member from the cluster and add it again with an ` +
        'empty data directory, or restore a backup.',
    );
  }

  /** Opens a snapshot for reading its payload. The reader is closed by the caller. @throws SnapshotError, DiskError */
  async read(path: string): Promise<SnapshotReader> {
    const reader = await SnapshotReader.open(this.options.disk, path);
    if (reader.description.clusterId === this.options.clusterId) return reader;
    await reader.close();
    throw new SnapshotError(
      'foreign',
      path,
      `the snapshot ${path} is of cluster ${reader.description.clusterId.toString(16)}, not of ${this.options.clusterId.toString(16)}. ` +
        'Start with the data directory of this member.',
    );
  }

  /** Reads the whole file, so that every byte is checked. */
  private async verify(path: string, name: SnapshotName): Promise<SnapshotDescription> {
    const reader = await this.read(path);
    try {
      const { mark } = reader.description;
      if (mark.index !== name.index || mark.term !== name.term) {
        throw new SnapshotError(
          'corrupt',
          path,
          `${path} is the snapshot of index ${mark.index}, term ${mark.term}`,
        );
      }
      for await (const _ of reader.chunks()) continue;
      return reader.description;
    } finally {
      await reader.close();
    }
  }

  /** Newest first. Terms never decrease with the index, so the index decides. */
  private async names(): Promise<SnapshotName[]> {
    const names: SnapshotName[] = [];
    for (const name of await this.options.disk.list(this.options.directory)) {
      const match = namePattern.exec(name);
      if (match === null) continue;
      names.push({ name, term: Number.parseInt(match[1]!, 16), index: Number.parseInt(match[2]!, 16) });
    }
    return names.sort((a, b) => b.index - a.index || b.term - a.term);
  }

  private async removeOld(): Promise<void> {
    const { disk, directory } = this.options;
    for (const { name } of (await this.names()).slice(this.keep))
      await disk.remove(joinPath(directory, name));
    await disk.syncDirectory(directory);
  }

  private path(term: number, index: number): string {
    const hex = (value: number): string => value.toString(16).padStart(16, '0');
    return joinPath(this.options.directory, `${hex(term)}-${hex(index)}.snap`);
  }
}
