import { ClusterState } from './apply/cluster-state.js';
import type { Backend } from './backend/backend.js';
import type { EngineOptions } from './engine-options.js';
import type { ConfState } from './raft/message.js';
import type { RecoveredState } from './raft/raw-node.js';
import { emptyConfState, emptyHardState, type LogMark } from './wal/state.js';
import type { Wal } from './wal/wal.js';

/**
 * The place that the founding of a cluster takes in its log. It is in no member's log as an entry: the founders begin
 * with its outcome, and whoever joins later gets it with the state that the leader sends, because no log reaches back
 * that far.
 */
const foundingPlace = { index: 1, term: 1 } as const;

/**
 * Begins the log of a new member: of a founder with all founding members as voters, alike on each of them; of one that
 * joins a running cluster with no configuration, so that it does not campaign before the leader sent it one. Resolves
 * when that is durable, so that later starts need not know the founders.
 *
 * @throws the failure of log or store.
 */
export async function found(wal: Wal, backend: Backend, options: EngineOptions): Promise<RecoveredState> {
  const confState = foundingConfState(options);
  const isJoining = confState.voters.length === 0;
  const place = isJoining ? { index: 0, term: 0 } : foundingPlace;
  if (!isJoining) {
    await durably(wal, backend, (done) => {
      wal.restartAfter({ ...place, confState }, done);
      writeFounding(backend, options, confState);
    });
  }
  return {
    hardState: { ...emptyHardState, term: place.term, commit: place.index },
    confState,
    snapshotIndex: place.index,
    snapshotTerm: place.term,
    entries: [],
    applied: place.index,
  };
}

/** Waits for a write to the log and for all that the store holds. */
function durably(wal: Wal, backend: Backend, write: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.onFailure = reject;
    backend.onFailure = reject;
    write(() => {
      void backend.flush().then(() => {
        wal.onFailure = undefined;
        backend.onFailure = undefined;
        resolve();
      });
    });
  });
}

/**
 * Writes the founding again into a store that had not flushed it yet when the process ended on its very first start. False when the log does not
 * begin with a founding by the same members.
 */
export function refound(mark: LogMark, backend: Backend, options: EngineOptions): boolean {
  const confState = foundingConfState(options);
  const isSame = mark.confState.voters.join() === confState.voters.join();
  if (mark.index !== foundingPlace.index || mark.term !== foundingPlace.term || !isSame) return false;
  writeFounding(backend, options, confState);
  return true;
}

function writeFounding(backend: Backend, options: EngineOptions, confState: ConfState): void {
  ClusterState.found(backend, options.foundingMembers, confState);
  backend.setApplied(foundingPlace);
}

/** All founders as voters, ordered by id, so that every founder computes the same. */
function foundingConfState({ foundingMembers }: EngineOptions): ConfState {
  const voters = foundingMembers.map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1));
  return { ...emptyConfState, voters };
}
