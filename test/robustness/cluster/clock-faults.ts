import { canShiftClocks } from '../clocks/shifted-clock.js';
import { delay } from '../traffic/within.js';
import { type Fault, type FaultScene } from './fault.js';

const hour = 3_600;

/** The wall clocks of some or all members jump again and again, an hour and more, each as it likes. */
async function jump({ cluster, chance, traffic }: FaultScene): Promise<void> {
  for (let i = 0; i < 6; i++) {
    for (const member of cluster.members)
      if (chance.chance(0.7)) cluster.machineOf(member).clock?.shift((chance.below(9) - 4) * hour);
    await delay(chance.below(400));
  }
  await traffic.progress(20, 'writes while wall clocks differ by hours');
}

/** Time that does not go on as it should. That of the monotonic clock stands still in the faults with SIGSTOP. */
export const clockFaults: readonly Fault[] = [
  { name: 'wall clocks jump', keepsMajority: true, isPossible: canShiftClocks, strike: jump },
];
