import { Buffer } from 'node:buffer';
import { etcdserverpb, GrpcStatus, membershippb, ProtocolError, WireWriter } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { type MembersChange, singleChanges } from '../apply/membership.js';
import type { QueryDone } from '../replica/queries.js';
import { decodeRequest } from './decode.js';
import { addedMemberId, isConnected, isLearnerReady, isQuorum, startedOf, votersOf } from './membership.js';
import { normalisedUrls } from './peer-urls.js';
import { handOverFirst } from './planned-hand-over.js';
import type { RequestParts } from './request-parts.js';

/** How often it is looked whether the joint configuration was left. */
const lookEveryMs = 10;
/** The change is decided by then; only its end is waited for. */
const leaveWithinMs = 5_000;
const changesMax = 100;

/** What is wrong with a request whatever the cluster is. @throws ProtocolError InvalidArgument; MemberBadURLs */
export function checkChanges(bytes: Uint8Array): void {
  const { add, promote, remove } = decodeRequest(membershippb.ChangeMembersRequest, bytes);
  const count = add.length + promote.length + remove.length;
  for (const { peer_urls } of add) normalisedUrls(peer_urls);
  if (count === 0) throw invalid('no change was given: name members to add, promote or remove');
  if (count > changesMax) throw invalid(`${count} changes at once; at most ${changesMax} are possible`);
  const named = [...promote, ...remove];
  if (new Set(named).size < named.length)
    throw invalid('a member is named twice; promote or remove each once');
}

/**
 * Changes several members at once, through a joint configuration (thesis 4.3), all or nothing. The rules are those of
 * single changes, for both halves: the voters that were there before and those that are there afterwards each need a
 * majority that has started and is connected. The answer comes when the joint configuration was left: before that, members
 * that are removed are needed.
 *
 * @throws ProtocolError as for single changes: MemberBadURLs, PeerURLExist, MemberExist, MemberNotFound, MemberNotLearner,
 * LearnerNotReady, TooManyLearners, MemberNotEnoughStarted, Unhealthy
 */
export function changeMembers(
  parts: RequestParts,
  { add, promote, remove }: membershippb.ChangeMembersRequest,
  reply: QueryDone,
): void {
  if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
  const now = parts.clock.wall();
  const added = add.map(({ peer_urls, is_learner: isLearner }) => {
    const peerURLs = normalisedUrls(peer_urls);
    return etcdserverpb.Member.fromPartial({ ID: addedMemberId(peerURLs, now), peerURLs, isLearner });
  });
  const command = { kind: CommandKind.MembersChange, changes: { add: added, promote, remove } } as const;
  parts.machine.membership.checkAll(singleChanges(command));
  checkLearners(parts, command);
  checkHalves(parts, command);
  const propose = (): void => {
    parts.replica.proposeChange(command, (error) => {
      if (error !== undefined) reply(error, undefined);
      else replyWhenLeft(parts, added, reply);
    });
  };
  if (remove.includes(parts.identity.memberId)) handOverFirst(parts, reply, propose, remove);
  else propose();
}

function checkLearners(parts: RequestParts, { changes }: MembersChange): void {
  const { limits, machine } = parts;
  const { add, promote, remove } = changes;
  const { maxLearners = 1 } = limits;
  const gone = remove.filter((id) => machine.cluster.member(id)?.isLearner === true).length;
  const more = add.filter(({ isLearner }) => isLearner).length;
  if (more > 0 && machine.membership.learners - gone - promote.length + more > maxLearners)
    throw ProtocolError.of('TooManyLearners');
  if (!promote.every((id) => isLearnerReady(parts, id))) throw ProtocolError.of('LearnerNotReady');
}

/** Learners that are promoted are in sync, so they count as started and connected; who is added does not. */
function checkHalves(parts: RequestParts, { changes: { add, promote, remove } }: MembersChange): void {
  const before = votersOf(parts);
  const staying = before.filter(({ ID }) => !remove.includes(ID));
  const size = staying.length + promote.length + add.filter(({ isLearner }) => !isLearner).length;
  const isThere = ({ ID }: etcdserverpb.Member): boolean => isConnected(parts, ID);
  const areStarted =
    isQuorum(startedOf(before).length, before.length) &&
    isQuorum(startedOf(staying).length + promote.length, size);
  if (!areStarted || size === 0) throw ProtocolError.of('MemberNotEnoughStarted');
  const areConnected =
    isQuorum(before.filter(isThere).length, before.length) &&
    isQuorum(staying.filter(isThere).length + promote.length, size);
  if (!areConnected) throw ProtocolError.of('Unhealthy');
}

function replyWhenLeft(parts: RequestParts, added: readonly etcdserverpb.Member[], reply: QueryDone): void {
  const { replica, clock, machine } = parts;
  const until = clock.now() + leaveWithinMs;
  const look = (): void => {
    if (replica.refusal !== undefined) return reply(replica.refusal, undefined);
    if (machine.cluster.confState?.outgoing.length !== 0) {
      if (clock.now() >= until) return reply(ProtocolError.of('Timeout'), undefined);
      return void clock.after(lookEveryMs, look);
    }
    const writer = new WireWriter();
    for (const member of added) writer.message(2, etcdserverpb.Member.encode(member).finish());
    reply(undefined, Buffer.concat([writer.take(), machine.membership.listBody(3)]));
  };
  look();
}

function invalid(problem: string): ProtocolError {
  return ProtocolError.unnamed(GrpcStatus.InvalidArgument, problem);
}
