import { type Timer } from '../platform/clock.js';
import { DiskError, joinPath, removeIfThere, type Disk } from '../platform/disk.js';
import { metadataBytes, readMetadata, writeMetadata } from './payload.js';
import {
  headerBytes,
  readChecksum,
  readHeader,
  RecordChain,
  recordBytes,
  recordSize,
  RecordType,
  walFormat,
} from './record.js';
import { checkOwner, newerFormat, readFile } from './segment-files.js';
import { syncMarkName, temporarySuffix } from './segment-name.js';
import { type WalMetadata } from './state.js';
import { WalCorruptionError } from './wal-error.js';
import { type WalOptions } from './wal-options.js';

/**
 * The file `sync.mark` is one record of type `sync` (see `record.ts`) with segment 0 and offset 0, whose `syncedLsn` says how far the log
 * was known to be durable. Records prove each other, but nothing in the log proves its last ones; after a clean stop, and up to the
 * interval of this file, the mark does.
 */
const bytesMax = 4096;

/** Replaces the mark durably. `syncedLsn` is durable already. */
export async function writeSyncMark(
  disk: Disk,
  directory: string,
  owner: WalMetadata,
  syncedLsn: number,
): Promise<void> {
  const target = recordBytes(new Uint8Array(recordSize(metadataBytes)));
  const chain = new RecordChain(0, syncedLsn, 0);
  chain.seal(target, 0, 0, RecordType.sync, writeMetadata(target, headerBytes, owner));
  const path = joinPath(directory, syncMarkName);
  const temporary = path + temporarySuffix;
  await removeIfThere(disk, temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(0, target.bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

/**
 * The LSN up to which the mark proves the log durable; undefined when there is no mark (a crash right after creation).
 *
 * @throws WalCorruptionError when the file is damaged: it was durable before it got its name.
 */
export async function readSyncMark(
  disk: Disk,
  directory: string,
  owner: WalMetadata,
): Promise<number | undefined> {
  if (!(await disk.list(directory)).includes(syncMarkName)) return undefined;
  const path = joinPath(directory, syncMarkName);
  const source = recordBytes(await readFile(disk, path, bytesMax));
  const header = readHeader(source, 0);
  if (header !== undefined && header.format > walFormat) throw newerFormat(path, header.format);
  const place = { segment: path, offset: 0, lsn: 0, index: 0 };
  if (header === undefined || header.format < 1 || header.type !== RecordType.sync) {
    throw new WalCorruptionError(place, 'the sync mark cannot be read');
  }
  const intact = readChecksum(source, 0, header) !== undefined && header.payloadLength === metadataBytes;
  if (!intact || source.bytes.length !== recordSize(metadataBytes)) {
    throw new WalCorruptionError(place, 'the sync mark is damaged');
  }
  checkOwner(path, readMetadata(source, headerBytes, metadataBytes), owner);
  return header.syncedLsn;
}

/** Renews the mark at a low rate: it costs two syncs, and only narrows what a damaged tail could hide. */
export class SyncMark {
  private markedLsn = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly options: Required<WalOptions>,
    private readonly onDue: () => void,
  ) {}

  /** Makes sure that `onDue` is called when the mark lags behind. */
  arm(syncedLsn: number): void {
    if (this.timer !== undefined || syncedLsn <= this.markedLsn) return;
    this.timer = this.options.clock.after(this.options.syncMarkMs, () => {
      this.timer = undefined;
      this.onDue();
    });
  }

  cancel(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Lack of space is no reason to stop: the mark stays as it was. @throws DiskError */
  async renew(syncedLsn: number): Promise<void> {
    if (syncedLsn <= this.markedLsn) return;
    const { disk, directory, metadata, logger } = this.options;
    try {
      await writeSyncMark(disk, directory, metadata, syncedLsn);
      this.markedLsn = syncedLsn;
    } catch (error) {
      if (!(error instanceof DiskError) || !error.isNoSpace) throw error;
      logger.warn('no space to renew the sync mark', { directory, code: error.code });
    }
  }
}
