import { Buffer } from 'node:buffer';
import type { MemberId, Message } from '../raft/message.js';

interface Addressed {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The term in which the sender believes the receiver, or for answers itself, to lead. */
  readonly term: number;
}

/**
 * A member hands a command to the leader of `term`. It is sent once and taken only by that leader in that term, once
 * per (member, boot, sequence), so a command is proposed at most once whatever the network does.
 */
export interface ForwardedProposal extends Addressed {
  readonly kind: 'propose';
  /** A whole command with its header (see apply/command.ts). */
  readonly command: Uint8Array;
}

/** The forwarded command was not proposed and never will be. */
export interface ProposalRefusal extends Addressed {
  readonly kind: 'propose-refused';
  readonly boot: bigint;
  readonly sequence: number;
  readonly reason: 'not-leader' | 'too-many-uncommitted' | 'transferring';
}

/**
 * What only the leader can answer: clocks of leases and the progress of members live there. Changes of the membership
 * are decided there, too, because they depend on which members it hears. A member whose results differ from those of the
 * others asks it for a state.
 */
export const queryMethods = [
  'lease-keep-alive',
  'lease-time-to-live',
  'member-add',
  'member-remove',
  'member-update',
  'member-promote',
  'members-change',
  'member-state',
] as const;
export type QueryMethod = (typeof queryMethods)[number];

/** The payload of `member-state`: who asks. */
export function encodeMemberId(member: MemberId): Uint8Array {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64BE(member);
  return payload;
}

/** @throws RangeError when there are fewer than eight bytes. */
export function decodeMemberId(payload: Uint8Array): MemberId {
  return Buffer.from(payload).readBigUInt64BE();
}

/** A question to the leader, which takes it once per (member, boot, request) in a term. Lost questions time out. */
export interface Query extends Addressed {
  readonly kind: 'query';
  /** Never used twice by one process of the sender. */
  readonly request: number;
  readonly boot: bigint;
  readonly method: QueryMethod;
  /** The client's request message, as protobuf. */
  readonly payload: Uint8Array;
}

/** The leader's answer; `error` is a name of the protocol's table of errors. */
export interface QueryReply extends Addressed {
  readonly kind: 'query-reply';
  readonly request: number;
  readonly boot: bigint;
  readonly error: string | undefined;
  readonly payload: Uint8Array;
}

/** What a member's log and results amount to at an index; compared between members to find corruption. */
export interface ChainReport extends Addressed {
  readonly kind: 'chains';
  readonly index: number;
  /** Rolling hash over (index, term, kind, data) of all entries. */
  readonly log: bigint;
  /** Rolling hash over the results of applying them. */
  readonly results: bigint;
}

/** Everything that a replica says to others beside raft. */
export type ReplicaMessage = ForwardedProposal | ProposalRefusal | Query | QueryReply | ChainReport;

/** Everything that travels between members. Messages are plain data and never change after they were made. */
export type PeerMessage = Message | ReplicaMessage;
