import { type Step } from './operations.js';

/** One place where our version answers otherwise than etcd 3.4, and why. One row per difference. */
export interface KnownDifference {
  readonly name: string;
  /** Where the contract says so. */
  readonly because: string;
  matches(step: Step, etcd: string, ours: string): boolean;
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'watch with a negative start revision',
    because: 'since etcd 3.6.6 such a watch is cancelled as compacted; 3.4 starts it at the oldest revision',
    matches: (step, _etcd, ours) =>
      step.kind === 'watch' && ours.includes('required revision has been compacted'),
  },
];
