import { type FSWatcher, watch } from 'node:fs';

/** Saves that come together, and the moments in which an editor replaces a file, become one change. */
const settleMs = 100;
/** Not every file system tells of changes (network drives, mounted volumes), so the folder is looked at anyway. */
const lookEveryMs = 1_000;

/**
 * Calls back after changes below a folder, one call at a time; a call that comes while one runs follows it.
 *
 * Invariant: at most one call runs, and at most one waits.
 */
export class FolderWatch {
  private watcher: FSWatcher | undefined;
  private settling: NodeJS.Timeout | undefined;
  private looking: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private isWaiting = false;
  private isClosed = false;

  /** @param look Never rejects. */
  constructor(
    private readonly folder: string,
    private readonly look: () => Promise<void>,
  ) {}

  start(): void {
    this.looking = setInterval(() => this.run(), lookEveryMs);
    try {
      this.watcher = watch(this.folder, { recursive: true }, () => this.changed());
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // The interval is enough, only slower.
    }
  }

  /** Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.looking);
    clearTimeout(this.settling);
    this.watcher?.close();
    await this.running;
  }

  private changed(): void {
    clearTimeout(this.settling);
    if (!this.isClosed) this.settling = setTimeout(() => this.run(), settleMs);
  }

  private run(): void {
    if (this.isClosed) return;
    if (this.running !== undefined) {
      this.isWaiting = true;
      return;
    }
    this.running = this.look().then(() => {
      this.running = undefined;
      if (!this.isWaiting) return;
      this.isWaiting = false;
      this.run();
    });
  }
}
