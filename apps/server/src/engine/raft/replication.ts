import { type Append, entryBytes } from './message.js';
import { type Raft } from './raft.js';
import { type Progress } from './tracker/progress.js';

/** Whether an append to this member would leave now. */
export function wantsAppend(raft: Raft, progress: Progress): boolean {
  if (progress.state === 'snapshot') return false;
  if (progress.verify) return true;
  if (progress.isPaused()) return false;
  // A member to which a state of the whole log was brought is asked whether it took it, though there is nothing to append.
  const isUnsure = progress.state === 'probe' && progress.match < raft.log.lastIndex;
  return isUnsure || progress.next <= raft.log.lastIndex || progress.sentCommit < raft.log.commit;
}

/**
 * Sends what the member still lacks, as far as its window allows: one append while probing, a row of them while
 * replicating, an empty one when only the commit index is news. Where the log does not reach back far enough, the host is
 * asked for a state.
 */
export function sendAppends(raft: Raft, progress: Progress): void {
  while (wantsAppend(raft, progress)) {
    const { log, id: from, term, config } = raft;
    const previousIndex = progress.next - 1;
    if (progress.needsState || !log.knows(previousIndex)) {
      if (progress.becomeSnapshot()) raft.snapshots.push({ to: progress.member });
      return;
    }
    const isWindowFull = progress.state === 'replicate' && progress.inflights.isFull();
    const entries = isWindowFull ? [] : log.sliceBytes(progress.next, config.maxMessageBytes);
    const append: Append = {
      kind: 'append',
      from,
      to: progress.member,
      term,
      previousIndex,
      previousTerm: log.termAt(previousIndex),
      entries,
      commit: log.commit,
    };
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    progress.sent(previousIndex + entries.length, bytes, log.commit);
    raft.outbox.send(append);
  }
}
