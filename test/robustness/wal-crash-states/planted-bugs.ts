import { baseName, type LogWriterListener } from '../../../apps/server/src/engine/platform/disk.js';
import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import {
  headerBytes,
  readHeader,
  RecordChain,
  recordBytes,
  recordSize,
  type RecordType,
} from '../../../apps/server/src/engine/wal/record.js';
import { parseSegmentName } from '../../../apps/server/src/engine/wal/segment-name.js';
import { fixtureDirectory } from '../../../apps/server/src/engine/wal/wal-fixture.js';
import { recoverTwice, type Recover } from './crash-checker.js';
import { type OpenLog } from './recorded-run.js';

/** Bug: writes are acknowledged when they are in the page cache. */
export const acknowledgeEarly: OpenLog = (disk, open) => {
  const openLogWriter = disk.openLogWriter.bind(disk);
  disk.openLogWriter = (listener: LogWriterListener) => {
    const writer = openLogWriter(listener);
    const write = writer.write.bind(writer);
    writer.write = (file, offset, buffer, length) => write(file, offset, buffer, length, false);
    return writer;
  };
  return open();
};

/** Bug: the names of files are never made durable. */
export const forgetDirectories: OpenLog = (disk, open) => {
  disk.syncDirectory = () => Promise.resolve();
  return open();
};

/** Bug: the file of a segment that is no longer needed is written again before its name is gone durably. */
export const reuseEarly: OpenLog = (disk, open) => {
  const rename = disk.rename.bind(disk);
  const syncDirectory = disk.syncDirectory.bind(disk);
  let isReused = false;
  disk.rename = (from, to) => {
    isReused = parseSegmentName(baseName(from)) !== undefined;
    return rename(from, to);
  };
  disk.syncDirectory = async (directory) => {
    if (!isReused) await syncDirectory(directory);
  };
  return open();
};

/** Bug: every record claims that the one before it is durable, whether it was synced or not. */
export const reportUnsyncedMark: OpenLog = async (_disk, open) => {
  const wal = await open();
  const chain = (wal as unknown as { chain: RecordChain }).chain;
  Object.defineProperty(chain, 'syncedLsn', { get: () => chain.lastLsn, set: () => {} });
  return wal;
};

/** Bug: recovery trusts headers and takes whatever bytes follow them. */
export const keepTornTail: Recover = (model) => {
  const repaired = model.clone();
  for (const name of repaired.list(fixtureDirectory)) {
    if (parseSegmentName(name) !== undefined) blessRecords(repaired, `${fixtureDirectory}/${name}`);
  }
  return recoverTwice(repaired);
};

/** Gives every record of a file the checksums that it should have. */
function blessRecords(model: DiskModel, path: string): void {
  const inode = model.find(path, 'read');
  const source = recordBytes(inode.read(0, inode.size));
  let crc: number | undefined;
  for (let at = 0; ;) {
    const header = readHeader(source, at);
    if (header === undefined || at + recordSize(header.payloadLength) > source.bytes.length) break;
    const chain = new RecordChain(header.segment, header.lsn - 1, crc ?? header.previousCrc);
    chain.syncedLsn = header.syncedLsn;
    at += chain.seal(source, at, at, header.type as RecordType, header.payloadLength);
    crc = chain.lastCrc;
  }
  inode.write(0, source.bytes.subarray(0, Math.max(inode.size, headerBytes)));
  inode.sync();
}
