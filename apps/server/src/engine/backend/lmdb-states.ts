import { type Disk } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { type StagedState, type StateDirectory } from '../snapshot/state-directory.js';
import { StateKind } from '../snapshot/state-seal.js';
import { type AppliedMark, type StateCopy } from './backend.js';
import { type FlushListener } from './flush-thread.js';
import { copyLmdb } from './lmdb-copy.js';
import { OpenedFile } from './lmdb-opened-file.js';
import { type InstallTarget, StateInstalls } from './state-installs.js';

/** The backend whose states these are. */
export interface LmdbOwner {
  readonly applied: AppliedMark;
  readonly isUsable: boolean;
  /** Puts another file in the place of the one in use, which it returns and no longer reads. */
  replaceFile(next: OpenedFile): OpenedFile;
  fail(error: Error): void;
}

export interface LmdbStatesParts {
  readonly states: StateDirectory;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly listener: FlushListener;
  readonly mapBytes: number;
}

/** Whole states of an LMDB backend: copies of the one in use, and others that take its place. */
export class LmdbStates implements InstallTarget<OpenedFile> {
  readonly kind = StateKind.lmdb;
  readonly installs: StateInstalls<OpenedFile>;
  private readonly copies = new Set<Promise<void>>();
  /** The file that was replaced and is still open. */
  private replaced: OpenedFile | undefined = undefined;

  constructor(
    private readonly parts: LmdbStatesParts,
    private readonly owner: LmdbOwner,
  ) {
    this.installs = new StateInstalls(this, () => Promise.resolve(parts.states), parts.logger);
  }

  get applied(): AppliedMark {
    return this.owner.applied;
  }

  get isUsable(): boolean {
    return this.owner.isUsable;
  }

  get installed(): AppliedMark | undefined {
    return this.parts.states.installed;
  }

  /** Copies that are under way. */
  get copying(): number {
    return this.copies.size;
  }

  copy(file: OpenedFile, path: string): Promise<StateCopy> {
    const copy = copyLmdb({ source: file.options, path });
    const ended = copy.then(ignore, ignore).then(() => void this.copies.delete(ended));
    this.copies.add(ended);
    return copy;
  }

  /** Waits for everything that was begun. */
  async ended(): Promise<void> {
    await this.installs.ended();
    await Promise.all(this.copies);
  }

  async openState({ path, mark }: StagedState): Promise<OpenedFile> {
    const { disk, listener, mapBytes } = this.parts;
    const opened = await OpenedFile.open({ path, mapBytes }, disk, listener);
    try {
      opened.checkMark(mark);
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  discardState(opened: OpenedFile): Promise<void> {
    return opened.close();
  }

  replaceState(opened: OpenedFile): void {
    this.replaced = this.owner.replaceFile(opened);
  }

  async retireState(): Promise<void> {
    const { replaced } = this;
    this.replaced = undefined;
    await replaced?.close();
    await Promise.all(this.copies);
  }

  fail(error: Error): void {
    this.owner.fail(error);
  }
}

function ignore(): void {
  // Whoever asked for the copy hears how it ended.
}
