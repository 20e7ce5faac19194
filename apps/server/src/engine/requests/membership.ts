import { etcdserverpb, ProtocolError } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import type { MembershipKind } from '../apply/membership.js';
import { sha1Prefix } from '../platform/sha1.js';
import type { QueryDone } from '../replica/queries.js';
import { normalisedUrls } from './peer-urls.js';
import { handOverFirst } from './planned-hand-over.js';
import type { RequestParts } from './request-parts.js';

/** A learner may be promoted when it has this share of the leader's log, as etcd has it. */
const readyShare = 0.9;

/**
 * What the leader does to change the members: refuses what would endanger the quorum (etcd's strict reconfiguration
 * check, always on), then proposes. The rows are checked again when the entry is applied.
 *
 * @throws ProtocolError MemberBadURLs, PeerURLExist, MemberExist, TooManyLearners, MemberNotEnoughStarted, Unhealthy
 */
export function addMember(
  parts: RequestParts,
  request: etcdserverpb.MemberAddRequest,
  reply: QueryDone,
): void {
  if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
  const peerURLs = normalisedUrls(request.peerURLs);
  const ID = addedMemberId(peerURLs, parts.clock.wall());
  const member = etcdserverpb.Member.fromPartial({ ID, peerURLs, isLearner: request.isLearner });
  const { membership } = parts.machine;
  membership.check(CommandKind.MemberAdd, member);
  const { maxLearners = 1 } = parts.limits;
  if (request.isLearner && membership.learners >= maxLearners) throw ProtocolError.of('TooManyLearners');
  if (!request.isLearner && !isReadyToAdd(parts)) throw ProtocolError.of('MemberNotEnoughStarted');
  observeHealth(parts);
  if (!votersOf(parts).every((voter) => isConnected(parts, voter.ID))) throw ProtocolError.of('Unhealthy');
  propose(parts, CommandKind.MemberAdd, member, reply);
}

/** @throws ProtocolError MemberNotFound, MemberNotEnoughStarted, Unhealthy */
export function removeMember(
  parts: RequestParts,
  { ID }: etcdserverpb.MemberRemoveRequest,
  reply: QueryDone,
): void {
  if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
  const member = etcdserverpb.Member.fromPartial({ ID });
  parts.machine.membership.check(CommandKind.MemberRemove, member);
  if (parts.machine.cluster.member(ID)?.isLearner === false) checkRemovalOfVoter(parts, ID);
  const remove = (): void => propose(parts, CommandKind.MemberRemove, member, reply);
  if (ID === parts.identity.memberId) handOverFirst(parts, reply, remove);
  else remove();
}

/** @throws ProtocolError MemberBadURLs, MemberNotFound, PeerURLExist */
export function updateMember(
  parts: RequestParts,
  request: etcdserverpb.MemberUpdateRequest,
  reply: QueryDone,
): void {
  if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
  const update = { ID: request.ID, peerURLs: normalisedUrls(request.peerURLs) };
  parts.machine.membership.checkUpdate(update);
  const payload = etcdserverpb.MemberUpdateRequest.encode(update).finish();
  parts.replica.propose(CommandKind.MemberUpdate, payload, (error, result) => reply(error, result?.body));
}

/** @throws ProtocolError MemberNotFound, MemberNotLearner, LearnerNotReady, MemberNotEnoughStarted */
export function promoteMember(
  parts: RequestParts,
  { ID }: etcdserverpb.MemberPromoteRequest,
  reply: QueryDone,
): void {
  if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
  const member = etcdserverpb.Member.fromPartial({ ID });
  parts.machine.membership.check(CommandKind.MemberPromote, member);
  if (!isLearnerReady(parts, ID)) throw ProtocolError.of('LearnerNotReady');
  const voters = votersOf(parts);
  // The learner counts as started: it is in sync.
  if (!isQuorum(startedOf(voters).length + 1, voters.length + 1))
    throw ProtocolError.of('MemberNotEnoughStarted');
  propose(parts, CommandKind.MemberPromote, member, reply);
}

/** Whether a learner has nearly all that the leader has, and is there. */
export function isLearnerReady(parts: RequestParts, id: bigint): boolean {
  const { progress, lastIndex } = parts.replica.status;
  const learner = progress.find(({ member }) => member === id);
  return learner !== undefined && learner.recentActive && learner.match >= lastIndex * readyShare;
}

function propose(
  parts: RequestParts,
  kind: MembershipKind,
  member: etcdserverpb.Member,
  reply: QueryDone,
): void {
  parts.replica.proposeChange({ kind, member }, (error, result) => reply(error, result?.body));
}

/** The id of a member that joins a running cluster, as etcd derives it: a hash of its peer URLs and the time in seconds. */
export function addedMemberId(peerUrls: readonly string[], wallMs: number): bigint {
  return sha1Prefix([...peerUrls].sort().join('') + String(Math.floor(wallMs / 1000)));
}

export function votersOf(parts: RequestParts): readonly etcdserverpb.Member[] {
  return parts.machine.cluster.members.filter(({ isLearner }) => !isLearner);
}

/** A member has started when it told its name. */
export function startedOf(members: readonly etcdserverpb.Member[]): readonly etcdserverpb.Member[] {
  return members.filter(({ name }) => name !== '');
}

export function isQuorum(count: number, of: number): boolean {
  return count >= Math.floor(of / 2) + 1;
}

/** From one member to two is always allowed: that is how the data of a lone survivor gets a second home. */
function isReadyToAdd(parts: RequestParts): boolean {
  const voters = votersOf(parts);
  const started = startedOf(voters).length;
  if (started === 1 && voters.length === 1) return true;
  return isQuorum(started, voters.length + 1);
}

/** What was heard since the last tick counts, too. */
function observeHealth({ health, replica, clock }: RequestParts): void {
  health.observe(replica.status.progress, clock.now());
}

export function isConnected(parts: RequestParts, id: bigint): boolean {
  return id === parts.identity.memberId || parts.health.isConnected(id, parts.clock.now());
}

function checkRemovalOfVoter(parts: RequestParts, id: bigint): void {
  const voters = votersOf(parts);
  const others = voters.filter((voter) => voter.ID !== id);
  if (!isQuorum(startedOf(others).length, others.length)) throw ProtocolError.of('MemberNotEnoughStarted');
  observeHealth(parts);
  // A member that is down is no part of the quorum that is there.
  if (id !== parts.identity.memberId && !parts.health.isActive(id, parts.clock.now())) return;
  const connected = voters.filter((voter) => isConnected(parts, voter.ID)).length;
  if (connected - 1 < 1 + Math.floor((voters.length - 1) / 2)) throw ProtocolError.of('Unhealthy');
}
