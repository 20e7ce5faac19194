import { type RaftConfig } from '../config.js';
import { type ConfState, type Entry, type HardState } from '../message.js';
import { RawNode } from '../raw-node.js';
import { SeededRandom } from './seeded-random.js';

const CONFIG: RaftConfig = {
  id: 1n,
  electionTicks: 10,
  heartbeatTicks: 1,
  unreachableDelayTicks: { min: 1, max: 8 },
  random: new SeededRandom(1),
  maxInflightMessages: 16,
  maxInflightBytes: 1_000_000,
  maxMessageBytes: 1_000_000,
  maxUncommittedBytes: 1_000_000,
  retainedEntries: 100,
  maxRetainedBytes: 1_000_000,
};

/** Member 1 with an empty log, in a configuration of which only the interesting part is given. */
export function freshNode(conf: Partial<ConfState>, config: Partial<RaftConfig> = {}): RawNode {
  return new RawNode(
    { ...CONFIG, random: new SeededRandom(1), ...config },
    {
      hardState: { term: 0, vote: 0n, commit: 0 },
      confState: { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false, ...conf },
      snapshotIndex: 0,
      snapshotTerm: 0,
      entries: [],
      applied: 0,
    },
  );
}

/** Member 1 of three, with what its disk kept. */
export function restartedNode(hardState: HardState, entries: readonly Entry[], applied: number): RawNode {
  const confState = { voters: [1n, 2n, 3n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
  const recovered = { hardState, confState, snapshotIndex: 0, snapshotTerm: 0, entries, applied };
  return new RawNode({ ...CONFIG, random: new SeededRandom(1) }, recovered);
}
