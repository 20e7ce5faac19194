import { type Buffer } from 'node:buffer';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';

/** The file operations of a cache, so that a test can stop between any two of them. All paths are absolute. */
export interface CacheFiles {
  /** Undefined when there is no such file. */
  read(path: string): Promise<Buffer | undefined>;
  /** Makes the folder, with mode 0700, and those above it. `own`: refuses one that belongs to another user. */
  makeFolder(path: string, own: boolean): Promise<void>;
  /** Makes or replaces the file, with mode 0600; resolves when its content is on the disk. */
  write(path: string, content: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const nodeCacheFiles: CacheFiles = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },

  async makeFolder(path, own) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (!own) return;
    // The temporary folder belongs to everybody: somebody else may have made this one before.
    const found = await lstat(path);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) {
      throw new Error(`${path} is not a folder of this user; give fileCache({ directory }) one that is`);
    }
  },

  async write(path, content) {
    const file = await open(path, 'w', 0o600);
    try {
      // The mode above counts for a new file only.
      await file.chmod(0o600);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  },

  rename,

  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },

  remove: (path) => rm(path, { force: true }),
};
