import { type RaftConfig } from '../config.js';
import { type ConfState } from '../message.js';
import { RawNode } from '../raw-node.js';
import { SeededRandom } from './seeded-random.js';

/** Member 1 with an empty log, in a configuration of which only the interesting part is given. */
export function freshNode(conf: Partial<ConfState>, config: Partial<RaftConfig> = {}): RawNode {
  return new RawNode(
    {
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
      ...config,
    },
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
