import { clockFaults } from './clock-faults.js';
import { diskFaults } from './disk-faults.js';
import { type Fault } from './fault.js';
import { membershipFaults } from './membership-faults.js';
import { networkFaults } from './network-faults.js';
import { processFaults } from './process-faults.js';
import { syncFaults } from './sync-fault.js';

/** Everything that can be broken here. */
export const allFaults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  ...syncFaults,
  ...diskFaults,
  ...clockFaults,
  ...membershipFaults,
];

/** @throws RangeError when there is no such fault. */
export function faultNamed(name: string): Fault {
  const fault = allFaults.find((candidate) => candidate.name === name);
  if (fault === undefined) throw new RangeError(`there is no fault ${name}`);
  return fault;
}
