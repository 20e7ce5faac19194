import { type Random } from '../../../apps/server/src/engine/platform/random.js';

/** The chance of a process. Its first 64-bit draw names its proposals, and `onBoot` learns of it. */
export function watchBoot(random: Random, onBoot: (boot: bigint) => void): Random {
  let isFirst = true;
  return {
    below: (bound) => random.below(bound),
    uint64: () => {
      const value = random.uint64();
      if (isFirst) onBoot(value);
      isFirst = false;
      return value;
    },
  };
}
