import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger } from '../platform/logger.js';
import { ManualClock } from '../platform/manual-clock.js';
import { NodeDisk } from '../platform/node-disk.js';
import { LmdbBackend, type LmdbBackendOptions } from './lmdb-backend.js';

/** What the specs of the LMDB backend start it with. Nothing here is used in production. */
export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'conclave-backend-'));
}

export async function startLmdb(
  directory: string,
  options: Partial<LmdbBackendOptions> = {},
): Promise<LmdbBackend> {
  const mapBytes = 256 * 1024 * 1024;
  const disk = new NodeDisk();
  try {
    const backend = await LmdbBackend.start({
      directory,
      mapBytes,
      clock: new ManualClock(),
      disk,
      logger: silentLogger,
      ...options,
    });
    // The disk's threads would keep the process alive.
    const close = backend.close.bind(backend);
    backend.close = async () => {
      await close();
      await disk.close();
    };
    return backend;
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** Waits for the flush in progress, and those that it leads to. */
export async function flushesToEnd(backend: LmdbBackend): Promise<void> {
  while (backend.isFlushing) await new Promise((resolve) => setImmediate(resolve));
}

const silent = (): void => {
  // The specs look at figures and errors, not at log lines.
};
const silentLogger: Logger = { debug: silent, info: silent, warn: silent, error: silent };
