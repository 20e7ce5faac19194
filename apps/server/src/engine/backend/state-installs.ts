import { assert } from '../platform/assert.js';
import { type Logger } from '../platform/logger.js';
import { otherState } from '../snapshot/snapshot-error.js';
import { type StagedState, type StateDirectory } from '../snapshot/state-directory.js';
import { type StateKind } from '../snapshot/state-seal.js';
import { type AppliedMark } from './backend.js';
import { BackendError } from './backend-error.js';

/** The backend that states are installed into. `Opened` is a state that is ready for use. */
export interface InstallTarget<Opened> {
  readonly kind: StateKind;
  readonly applied: AppliedMark;
  /** Neither closed nor failed. */
  readonly isUsable: boolean;
  /** Opens a staged state. @throws when its content is not what it was sealed as */
  openState(staged: StagedState): Promise<Opened>;
  /** Releases a state that does not come into use. */
  discardState(opened: Opened): Promise<void>;
  /** Puts a state, which is durable, in the place of the one in use. At once. */
  replaceState(opened: Opened): void;
  /** Releases the state that was replaced, when nothing reads it any more. */
  retireState(): Promise<void>;
  /** Ends the use of the backend for good. */
  fail(error: Error): void;
}

/**
 * Installs received states, one after the other: the file is copied into the directory, opened, named by the pointer,
 * and only then put into use.
 */
export class StateInstalls<Opened> {
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly target: InstallTarget<Opened>,
    private readonly directory: () => Promise<StateDirectory>,
    private readonly logger: Logger,
  ) {}

  /** As `Backend.install`. */
  run(path: string, wanted: AppliedMark, onInstalled: () => void, isWanted?: () => boolean): Promise<void> {
    const installed = this.last.then(async () => {
      const opened = await this.prepare(path, wanted, isWanted);
      const { target } = this;
      assert(target.applied.index < wanted.index, 'a state that is being installed is not overtaken');
      target.replaceState(opened);
      onInstalled();
    });
    this.last = installed.then(
      () => this.retire(),
      () => {},
    );
    return installed;
  }

  /** Waits for everything that was begun. */
  ended(): Promise<void> {
    return this.last;
  }

  /** Everything up to the moment from which on a restart finds the new state. */
  private async prepare(
    path: string,
    wanted: AppliedMark,
    isWanted: (() => boolean) | undefined,
  ): Promise<Opened> {
    const { target } = this;
    this.checkWanted(path, wanted);
    const states = await this.directory();
    const staged = await states.stage(path, { kind: target.kind, mark: wanted });
    const opened = await this.openStaged(states, staged, path, isWanted);
    try {
      await states.switchTo(staged);
      return opened;
    } catch (error) {
      target.fail(error as Error);
      await target.discardState(opened);
      throw error;
    }
  }

  /** The rest of what may fail without harm. */
  private async openStaged(
    states: StateDirectory,
    staged: StagedState,
    path: string,
    isWanted: (() => boolean) | undefined,
  ): Promise<Opened> {
    const { target } = this;
    let opened: Opened | undefined;
    try {
      opened = await target.openState(staged);
      await states.preparePointer(staged);
      this.checkWanted(path, staged.mark);
      if (isWanted?.() === false) throw otherState(path, 'it is not wanted any more');
      return opened;
    } catch (error) {
      if (opened !== undefined) await target.discardState(opened);
      await states.discard(staged);
      throw error;
    }
  }

  private checkWanted(path: string, wanted: AppliedMark): void {
    const { isUsable, applied } = this.target;
    if (!isUsable) throw new BackendError('io', `The state ${path} is not installed: the store is closing.`);
    if (wanted.index > applied.index) return;
    throw otherState(
      path,
      `it is of entry ${wanted.index}, and this member has applied entry ${applied.index}`,
    );
  }

  private async retire(): Promise<void> {
    try {
      await this.target.retireState();
      await (await this.directory()).removeOthers();
    } catch (error) {
      // It is removed at the next start.
      this.logger.warn('the state that was replaced cannot be removed', { reason: String(error) });
    }
  }
}
