import { type EnginePlatform } from '../engine/engine-storage.js';
import { LmdbBackend } from '../engine/backend/lmdb-backend.js';
import { DirectoryLock } from '../engine/platform/directory-lock.js';
import { type Logger } from '../engine/platform/logger.js';
import { type Meter } from '../engine/platform/meter.js';
import { NodeClock } from '../engine/platform/node-clock.js';
import { NodeDisk } from '../engine/platform/node-disk.js';
import { NodeRandom } from '../engine/platform/node-random.js';

/** Address space of the store when there is no quota: as much as a member can sensibly hold. */
const unlimitedBytes = 64 * 1024 ** 3;
const gibibyte = 1024 ** 3;

/** A platform and its end: the disk's threads keep the process alive until `close`. */
export interface NodePlatform extends EnginePlatform {
  close(): Promise<void>;
}

/** The real machine as the engine sees it. @param quotaBytes Quota of the store; undefined when there is none. */
export function createNodePlatform(
  quotaBytes: number | undefined,
  logger: Logger,
  meter: Meter,
): NodePlatform {
  const clock = new NodeClock();
  const disk = new NodeDisk();
  const mapBytes = quotaBytes === undefined ? unlimitedBytes : 2 * quotaBytes + gibibyte;
  return {
    clock,
    disk,
    random: new NodeRandom(),
    logger,
    meter,
    openBackend: (directory) => LmdbBackend.start({ directory, mapBytes, clock, disk, logger }),
    lockDirectory: (directory) => DirectoryLock.acquire(directory, logger),
    close: () => disk.close(),
  };
}
