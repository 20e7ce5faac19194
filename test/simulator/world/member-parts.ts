import { type Engine } from '../../../apps/server/src/engine/engine.js';
import { type SimulatedDisk } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { type CommittedLog } from '../checks/committed-log.js';
import { type Network } from '../network/network.js';
import { type SimulatedTransport } from '../network/simulated-transport.js';
import { type PlantedBug } from '../planted/planted-bug.js';
import { type Fate } from './fate.js';
import { type Gate } from './gate.js';
import { type Identities, type Identity } from './identity.js';
import { type Profile } from './profile.js';
import { type Schedule } from './schedule.js';
import { type ClockError, type SimulatedClock } from './simulated-clock.js';
import { type FaultCounts } from './storage-faults.js';

/** What a member is built into. */
export interface MemberParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: Profile;
  readonly identity: Identity;
  readonly identities: Identities;
  /** It founds the cluster with the others, rather than joining it later. */
  readonly isFounder: boolean;
  /** Undefined for a member that is alone. */
  readonly network: Network | undefined;
  readonly clock: ClockError;
  readonly log: CommittedLog;
  readonly counts: FaultCounts;
  readonly planted: PlantedBug | undefined;
  /** The effect of the first crash, when it is not to be left to chance. */
  readonly crashAt: number | undefined;
}

/** A process of the member: lives until it is killed, stops by itself or loses its power. */
export interface Process {
  readonly number: number;
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  readonly gate: Gate;
  readonly transport: SimulatedTransport | undefined;
  boot: bigint;
  engine: Engine | undefined;
  isServing: boolean;
}
