import { ProtocolError } from '@conclave/protocol';
import type { MemberId } from '../raft/message.js';
import type { QueryDone } from '../replica/queries.js';
import { asProtocolError } from './decode.js';
import type { RequestParts } from './request-parts.js';

/** How often a leader looks whether it has heard everybody. */
const lookEveryMs = 10;

/**
 * Does what needs to know which members are there. A leader that has just begun knows nobody yet: it waits until it has
 * heard each voter, or a silent one for as long as makes it count as silent.
 */
export function whenSettled(parts: RequestParts, reply: QueryDone, work: () => void): void {
  const { replica, health, clock } = parts;
  const look = (): void => {
    if (!replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
    const { confState, progress, id } = replica.status;
    const others = [...confState.voters, ...confState.outgoing].filter((voter) => voter !== id);
    health.observe(progress, clock.now());
    if (!health.isSettled(others, clock.now())) return void clock.after(lookEveryMs, look);
    try {
      work();
    } catch (error) {
      reply(asProtocolError(error), undefined);
    }
  };
  look();
}

/**
 * A leader that is to be removed hands over before that, and its successor takes the change: it is asked when the answer
 * is "not leader". Otherwise the last to know that the change is committed could be the member that goes, and those who
 * remain would wait for its vote. Where nobody can take over, the leader does it itself.
 */
export function handOverFirst(
  { transfer }: RequestParts,
  reply: QueryDone,
  propose: () => void,
  /** Who goes, too. */
  leaving: readonly MemberId[] = [],
): void {
  const heir = transfer.candidate(leaving);
  if (heir === undefined) return propose();
  transfer.handOver(heir, (isDone) => {
    if (isDone) reply(ProtocolError.of('NotLeader'), undefined);
    else propose();
  });
}
