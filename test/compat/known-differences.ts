import { type Step } from './operations.js';

/** One place where our version answers otherwise than etcd 3.4, and why. One row per difference. */
export interface KnownDifference {
  readonly name: string;
  /** Where the contract says so. */
  readonly because: string;
  /** The two servers are in different states from here on: the sequence ends. */
  readonly endsSequence?: boolean;
  matches(step: Step, etcd: string, ours: string): boolean;
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'watch with a negative start revision',
    because: 'since etcd 3.6.6 such a watch is cancelled as compacted; 3.4 starts it at the oldest revision',
    endsSequence: true,
    matches: (step, _etcd, ours) =>
      step.kind === 'watch' && ours.includes('required revision has been compacted'),
  },
  {
    name: 'progress while a watch waits for a future revision',
    because:
      'since etcd 3.6.2 progress is told once all watches of the stream are past their start; 3.4 tells it at once',
    matches: (step, etcd, ours) =>
      step.kind === 'progress' &&
      etcd.startsWith('progress') &&
      ours === 'no answer while a watch waits for a future revision',
  },
];
