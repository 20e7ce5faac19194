import type { StateMachine } from '../apply/state-machine.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { MemberId } from '../raft/message.js';
import type { PeerTransport } from './peer-transport.js';
import type { Replica } from './replica.js';

/** How much longer a removed member stays when one voter remains. */
const witnessFactor = 10;

/** Why a member that was removed from its cluster ends. Nothing is wrong; it must not be started again as it is. */
export class MemberRemovedError extends Error {
  override readonly name = 'MemberRemovedError';

  constructor(member: MemberId) {
    super(
      `member ${member.toString(16)} was removed from the cluster. Its data directory is of no use any more: ` +
        'to bring the machine back, remove the directory, add it as a new member and start it with that.',
    );
  }
}

export interface RosterParts {
  readonly memberId: MemberId;
  readonly machine: StateMachine;
  readonly replica: Replica;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a removed member stays, so that those who remain learn that its removal is committed. */
  readonly lingerMs: number;
}

/** Follows who the members are: tells the transport, and ends this member when it is none any more. */
export class Roster {
  /** Whether there are others. */
  hasPeers = false;
  private isLeaving = false;

  constructor(private readonly parts: RosterParts) {
    parts.transport.onRemoved = () => this.removed(0);
    parts.transport.isRemoved = (member) => parts.machine.cluster.wasRemoved(member);
  }

  /** Members or their URLs may have changed. */
  refresh(): void {
    const { machine, memberId, transport, replica, lingerMs } = this.parts;
    const { cluster } = machine;
    const peers = new Map<MemberId, readonly string[]>();
    for (const { ID, peerURLs } of cluster.members) if (ID !== memberId) peers.set(ID, peerURLs);
    this.hasPeers = peers.size > 0;
    // Who joins and was not sent the configuration yet serves no more than a learner does.
    const isJoining = replica.status.confState.voters.length === 0;
    replica.isLearner = cluster.member(memberId)?.isLearner ?? isJoining;
    // Before the first state came from the leader this member knows of nobody; the transport then has its own list.
    if (cluster.members.length > 0) transport.setPeers(peers);
    if (!cluster.wasRemoved(memberId)) return;
    // One voter that remains can learn it from nobody else: it holds the change, and waits to hear that it is committed.
    const isLastWitness = replica.status.confState.voters.length === 1;
    this.removed(isLastWitness ? witnessFactor * lingerMs : lingerMs);
  }

  private removed(delayMs: number): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    const { clock, replica, memberId, logger } = this.parts;
    const error = new MemberRemovedError(memberId);
    logger.warn(error.message);
    clock.after(delayMs, () => replica.fail(error));
  }
}
