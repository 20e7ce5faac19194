import { type ConfState, type HardState } from '../raft/message.js';
import { type LogMark, type RecoveredLog } from './state.js';
import { type Wal } from './wal.js';

/** A place in the log. */
interface Place {
  readonly index: number;
  readonly term: number;
}

/** What a store says when it is opened. */
export interface OpenedStore {
  readonly applied: Place;
  /** What was installed last; undefined when nothing ever was. */
  readonly installed: Place | undefined;
  /** The configuration at `applied`. */
  readonly confState: ConfState;
}

/** How the log begins anew. */
export interface LogRestart {
  readonly mark: LogMark;
  readonly hardState: HardState;
}

/**
 * A state is installed in two steps: first the store takes it, durably, then the log is restarted after it. Tells whether a crash
 * came between: the store holds exactly what was installed, and the log does not lead there. In that order nothing is lost: before
 * the first step nothing has changed, and between them the log holds only what the state replaces, and promises (term and vote)
 * that stay. Until the second step is durable the member applies nothing, so only the installed mark itself can be found so.
 *
 * The sender had an entry of the state's term, so the stored term is raised to it, if the crash came before that was stored, too; a member
 * has voted in no term that it has not stored.
 *
 * @returns How the log begins anew, for {@link restartLog}; undefined when no restart was interrupted. Then the log must lead to what is
 * applied: anything else is a store and a log that do not belong together.
 */
export function interruptedRestart(log: RecoveredLog, store: OpenedStore): LogRestart | undefined {
  const { applied, installed, confState } = store;
  if (installed === undefined || installed.index !== applied.index || installed.term !== applied.term)
    return undefined;
  const { index, term } = installed;
  if (log.mark.index >= index) return undefined;
  if (log.entries[index - log.mark.index - 1]?.term === term) return undefined;
  const { hardState } = log;
  const vote = term > hardState.term ? 0n : hardState.vote;
  return {
    mark: { index, term, confState },
    hardState: { term: Math.max(hardState.term, term), vote, commit: index },
  };
}

/** Finishes a restart that a crash interrupted; nobody else uses the log yet. Resolves when it is durable. */
export function restartLog(wal: Wal, { mark, hardState }: LogRestart): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.onFailure = reject;
    wal.append({ hardState, entries: [], mustSync: true }, () => {});
    wal.restartAfter(mark, () => {
      wal.onFailure = undefined;
      resolve();
    });
  });
}
