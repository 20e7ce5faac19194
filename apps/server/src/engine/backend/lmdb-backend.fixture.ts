import { mkdir, mkdtemp, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Disk, DiskError, type DiskFile } from '../platform/disk.js';
import { type LogFields, type Logger } from '../platform/logger.js';
import { ManualClock } from '../platform/manual-clock.js';
import { LmdbBackend, type LmdbBackendOptions } from './lmdb-backend.js';

/** What the specs of the LMDB backend start it with. Nothing here is used in production. */
export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'conclave-backend-'));
}

export function startLmdb(
  directory: string,
  options: Partial<LmdbBackendOptions> = {},
): Promise<LmdbBackend> {
  const mapBytes = 256 * 1024 * 1024;
  const logger = new SilentLogger();
  return LmdbBackend.start({
    directory,
    mapBytes,
    clock: new ManualClock(),
    disk: plainDisk,
    logger,
    ...options,
  });
}

/** Waits for the flush in progress, and those that it leads to. */
export async function flushesToEnd(backend: LmdbBackend): Promise<void> {
  while (backend.isFlushing) await new Promise((resolve) => setImmediate(resolve));
}

export class SilentLogger implements Logger {
  readonly warnings: string[] = [];

  debug(): void {
    // Not kept.
  }

  info(): void {
    // Not kept.
  }

  warn(message: string, _fields?: LogFields): void {
    this.warnings.push(message);
  }

  error(message: string, _fields?: LogFields): void {
    this.warnings.push(message);
  }
}

/** The part of a disk that the backend needs, straight on the file system. */
export const plainDisk: Pick<Disk, 'makeDirectory' | 'open' | 'syncDirectory'> = {
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true });
  },
  async syncDirectory(directory) {
    const handle = await open(directory, 'r');
    await handle.sync();
    await handle.close();
  },
  async open(path): Promise<DiskFile> {
    const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
      throw new DiskError('open', path, error.code ?? 'EIO');
    });
    return {
      path,
      size: async () => (await handle.stat()).size,
      read: async (offset, length) => {
        const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset);
        return buffer.subarray(0, bytesRead);
      },
      write: async (offset, bytes) => void (await handle.write(bytes, 0, bytes.length, offset)),
      fill: async (offset, length) => void (await handle.write(new Uint8Array(length), 0, length, offset)),
      truncate: (size) => handle.truncate(size),
      sync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
};
