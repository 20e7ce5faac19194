import type { Proposer } from '../apply/command.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Backend } from '../backend/backend.js';
import type { Clock } from '../platform/clock.js';
import type { Disk } from '../platform/disk.js';
import type { Logger } from '../platform/logger.js';
import type { Meter } from '../platform/meter.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode } from '../raft/raw-node.js';
import type { Wal } from '../wal/wal.js';
import type { PeerTransport } from './peer-transport.js';
import type { SubmissionLimits } from './submissions.js';

/** What a replica is made of; the composition root builds all of it. */
export interface ReplicaParts {
  readonly raft: RawNode;
  readonly wal: Wal;
  readonly machine: StateMachine;
  readonly backend: Backend;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly proposer: Proposer;
  readonly disk: Disk;
  readonly memberId: MemberId;
  /** A directory for states that are on their way to other members. */
  readonly spoolDirectory: string;
}

export interface ReplicaOptions extends SubmissionLimits {
  /** One raft tick. */
  readonly heartbeatMs: number;
  /** For so long a leader may fail to work before it steps aside. */
  readonly electionMs: number;
}
