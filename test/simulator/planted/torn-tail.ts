import { crc32 } from 'node:zlib';
import {
  headerBytes,
  readChecksum,
  readHeader,
  recordBytes,
  recordSize,
} from '../../../apps/server/src/engine/wal/record.js';
import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';

const logDirectory = '/data/wal';

/**
 * Makes the reader of the log trust a record whose header survived, whatever became of its body: the last record gets the
 * checksum that its torn body has.
 */
export function trustTornTail(files: DiskModel): void {
  for (const name of logNames(files)) {
    const inode = files.find(`${logDirectory}/${name}`, 'open');
    const source = recordBytes(inode.read(0, inode.size));
    for (let at = 0; ;) {
      const header = readHeader(source, at);
      if (header === undefined) break;
      const end = at + recordSize(header.payloadLength);
      if (end > source.bytes.length) break;
      if (readChecksum(source, at, header) === undefined) {
        const sum = crc32(source.bytes.subarray(at + headerBytes, end - 4), header.headerCrc);
        source.view.setUint32(end - 4, sum, true);
        inode.write(end - 4, source.bytes.subarray(end - 4, end));
        break;
      }
      at = end;
    }
  }
}

function logNames(files: DiskModel): string[] {
  try {
    return files.list(logDirectory).filter((name) => name.endsWith('.wal'));
  } catch {
    // The directory was not made yet.
    return [];
  }
}
