import { type Disk } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { type StagedState, StateDirectory } from '../snapshot/state-directory.js';
import { writeStateFile } from '../snapshot/state-file.js';
import { StateKind } from '../snapshot/state-seal.js';
import { type AppliedMark, type StateCopy } from './backend.js';
import { decodeRows, type MemoryState } from './memory-state.js';
import { type InstallTarget, StateInstalls } from './state-installs.js';

/** Where a memory backend keeps states that were installed, so that a crash leaves the old or the new one. */
export interface MemoryStatesOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly logger: Logger;
}

/** A state that was read, with its mark. */
export interface LoadedState {
  readonly state: MemoryState;
  /** Keys and values of all its rows. */
  readonly usedBytes: number;
  readonly mark: AppliedMark;
}

/** The backend whose states these are. */
export interface MemoryOwner {
  readonly applied: AppliedMark;
  readonly isUsable: boolean;
  replaceState(loaded: LoadedState): void;
  fail(error: Error): void;
}

/** Whole states of a memory backend, in the same files and steps as those of LMDB. */
export class MemoryStates implements InstallTarget<LoadedState> {
  readonly kind = StateKind.rows;
  readonly installs: StateInstalls<LoadedState>;
  private directory: StateDirectory | undefined = undefined;

  constructor(
    private readonly options: MemoryStatesOptions,
    private readonly owner: MemoryOwner,
  ) {
    this.installs = new StateInstalls(this, () => this.open(), options.logger);
  }

  get applied(): AppliedMark {
    return this.owner.applied;
  }

  get isUsable(): boolean {
    return this.owner.isUsable;
  }

  async write(path: string, mark: AppliedMark, content: Uint8Array): Promise<StateCopy> {
    const bytes = await writeStateFile(this.options.disk, path, { kind: this.kind, mark }, content);
    return { mark, bytes };
  }

  /** The state that was installed last, by whatever process; undefined when none ever was. @throws SnapshotError, DiskError */
  async load(): Promise<LoadedState | undefined> {
    const directory = await this.open();
    const { currentName, installed } = directory;
    if (currentName === undefined || installed === undefined) return undefined;
    return this.read(directory.path(currentName), installed);
  }

  openState({ path, mark }: StagedState): Promise<LoadedState> {
    return this.read(path, mark);
  }

  discardState(): Promise<void> {
    return Promise.resolve();
  }

  replaceState(loaded: LoadedState): void {
    this.owner.replaceState(loaded);
  }

  retireState(): Promise<void> {
    return Promise.resolve();
  }

  fail(error: Error): void {
    this.owner.fail(error);
  }

  private async open(): Promise<StateDirectory> {
    this.directory ??= await StateDirectory.open({ ...this.options, firstName: undefined });
    return this.directory;
  }

  private async read(path: string, mark: AppliedMark): Promise<LoadedState> {
    const file = await this.options.disk.open(path, 'read');
    try {
      return { ...decodeRows(await file.read(0, await file.size()), path), mark };
    } finally {
      await file.close();
    }
  }
}
