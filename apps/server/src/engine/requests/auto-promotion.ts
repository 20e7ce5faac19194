import { etcdserverpb } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { isLearnerReady } from './membership.js';
import type { RequestParts } from './request-parts.js';

const lookEveryMs = 1_000;

/** Makes a learner a voter as soon as it is in sync with the leader, without being asked to. */
export class AutoPromotion {
  private nextLookMs = 0;
  private isUnderway = false;

  constructor(private readonly parts: RequestParts) {}

  /** Only for the leader. */
  tick(): void {
    const { machine, replica, clock } = this.parts;
    const now = clock.now();
    if (this.isUnderway || now < this.nextLookMs) return;
    this.nextLookMs = now + lookEveryMs;
    const learner = machine.cluster.members.find(
      ({ ID, isLearner }) => isLearner && isLearnerReady(this.parts, ID),
    );
    // A learner that has not told its name may not run the server that it was added for.
    if (learner === undefined || learner.name === '') return;
    this.isUnderway = true;
    const member = etcdserverpb.Member.fromPartial({ ID: learner.ID });
    replica.proposeChange({ kind: CommandKind.MemberPromote, member }, () => (this.isUnderway = false));
  }
}
