import { Buffer } from 'node:buffer';
import { etcdserverpb, membershippb, ProtocolError, WireWriter } from '@conclave/protocol';
import { applyChange } from '../raft/confchange/apply-change.js';
import type { ConfChange, ConfChangeType } from '../raft/confchange/conf-change.js';
import type { ConfState, MemberId } from '../raft/message.js';
import type { ClusterState } from './cluster-state.js';
import { CommandKind, commandKind, commandPayload } from './command.js';

/** The kinds that stand in config entries. */
export type MembershipKind = CommandKind.MemberAdd | CommandKind.MemberRemove | CommandKind.MemberPromote;

/** A change of one member, and why. */
export interface MemberChange {
  readonly kind: MembershipKind;
  readonly member: etcdserverpb.Member;
}

/** Several changes that come into force together. */
export interface MembersChange {
  readonly kind: CommandKind.MembersChange;
  readonly changes: membershippb.MembersChange;
}

/** What a config entry asks for. */
export type MembershipCommand = MemberChange | MembersChange;

/** The changes that a command stands for, one by one. */
export function singleChanges(command: MembershipCommand): readonly MemberChange[] {
  if (command.kind !== CommandKind.MembersChange) return [command];
  const { add, promote, remove } = command.changes;
  const known = (ID: MemberId): etcdserverpb.Member => etcdserverpb.Member.fromPartial({ ID });
  return [
    ...add.map((member) => ({ kind: CommandKind.MemberAdd, member }) as const),
    ...promote.map((id) => ({ kind: CommandKind.MemberPromote, member: known(id) }) as const),
    ...remove.map((id) => ({ kind: CommandKind.MemberRemove, member: known(id) }) as const),
  ];
}

/** The command as the core takes it; `encode` puts it into an envelope. Several changes go through a joint configuration. */
export function confChangeOf(
  command: MembershipCommand,
  encode: (kind: CommandKind, payload: Uint8Array) => Uint8Array,
): ConfChange {
  const changes = singleChanges(command).map(({ kind, member }) => {
    return { type: changeTypeOf(kind, member), member: member.ID };
  });
  const { kind } = command;
  if (kind !== CommandKind.MembersChange) {
    const context = encode(kind, etcdserverpb.Member.encode(command.member).finish());
    return { changes, transition: 'auto', context };
  }
  const context = encode(kind, membershippb.MembersChange.encode(command.changes).finish());
  return { changes, transition: 'implicit', context };
}

/** The single change of the configuration that a command stands for. */
export function changeTypeOf(kind: MembershipKind, member: etcdserverpb.Member): ConfChangeType {
  switch (kind) {
    case CommandKind.MemberAdd:
      return member.isLearner ? 'add-learner' : 'add-voter';
    case CommandKind.MemberPromote:
      return 'add-voter';
    case CommandKind.MemberRemove:
      return 'remove';
  }
}

/**
 * Who the members are: the rules of a change, checked on the replicated rows when it is applied, so that every member
 * decides alike, and by whoever proposes it, so that most mistakes are answered before they cost an entry.
 */
export class Membership {
  constructor(private readonly cluster: ClusterState) {}

  /**
   * Whether the rows allow the change.
   *
   * @throws ProtocolError MemberNotFound (also for ids that were removed), MemberExist, PeerURLExist, MemberNotLearner
   */
  check(kind: MembershipKind, member: etcdserverpb.Member): void {
    const { cluster } = this;
    const { ID: id, peerURLs } = member;
    const known = cluster.member(id);
    if (cluster.wasRemoved(id)) throw ProtocolError.of('MemberNotFound');
    switch (kind) {
      case CommandKind.MemberAdd:
        if (known !== undefined) throw ProtocolError.of('MemberExist');
        this.checkUrls(id, peerURLs);
        return;
      case CommandKind.MemberPromote:
        if (known === undefined) throw ProtocolError.of('MemberNotFound');
        if (!known.isLearner) throw ProtocolError.of('MemberNotLearner');
        return;
      case CommandKind.MemberRemove:
        if (known === undefined) throw ProtocolError.of('MemberNotFound');
        return;
    }
  }

  /** @throws ProtocolError MemberNotFound, PeerURLExist */
  checkUpdate({ ID, peerURLs }: etcdserverpb.MemberUpdateRequest): void {
    if (this.cluster.member(ID) === undefined) throw ProtocolError.of('MemberNotFound');
    this.checkUrls(ID, peerURLs);
  }

  /** Other peer URLs for a member; everything else of it stays. @throws ProtocolError as `checkUpdate` */
  update(request: etcdserverpb.MemberUpdateRequest): Uint8Array {
    this.checkUpdate(request);
    const member = this.cluster.member(request.ID)!;
    this.cluster.setMember({ ...member, peerURLs: request.peerURLs });
    return this.listBody(2);
  }

  /**
   * What a member says of itself, its name and client URLs. Nobody becomes a member by that, except in a store that was
   * founded before it held the configuration.
   */
  publish(published: etcdserverpb.Member): void {
    const { name, clientURLs } = published;
    const member = this.cluster.member(published.ID);
    if (member !== undefined) this.cluster.setMember({ ...member, name, clientURLs });
    else if (this.cluster.confState === undefined) this.cluster.setMember(published);
  }

  /**
   * Whether a config entry may take effect; the core is told that it may not otherwise.
   *
   * @throws ProtocolError as `check`; Unhealthy when the configuration in force does not allow it.
   */
  checkEntry(change: ConfChange): void {
    const { confState } = this.cluster;
    if (confState !== undefined && applyChange(confState, change).refused !== undefined) {
      throw ProtocolError.of('Unhealthy');
    }
    if (change.changes.length === 0) return;
    const asked = singleChanges(commandOf(change));
    this.checkAll(asked);
    const isMeant = change.changes.every(({ type, member }, at) => {
      const single = asked[at] as MemberChange | undefined;
      return single?.member.ID === member && type === changeTypeOf(single.kind, single.member);
    });
    if (!isMeant || asked.length !== change.changes.length) throw ProtocolError.of('MemberNotFound');
  }

  /** Whether the rows allow all of it. @throws ProtocolError as `check` */
  checkAll(changes: readonly MemberChange[]): void {
    const urls = new Set<string>();
    for (const { kind, member } of changes) {
      this.check(kind, member);
      for (const url of member.peerURLs) {
        if (urls.has(url)) throw ProtocolError.of('PeerURLExist');
        urls.add(url);
      }
    }
  }

  /**
   * Makes a checked change in the rows and returns the answer's fields. Members that a joint configuration removes are
   * needed until it is left: they go then.
   *
   * @param confState The configuration that holds from now on.
   */
  perform(change: ConfChange, confState: ConfState): Uint8Array {
    if (change.changes.length === 0) {
      this.removeOthers(confState);
      return new Uint8Array(0);
    }
    const changes = singleChanges(commandOf(change));
    const isJoint = confState.outgoing.length > 0;
    const added: Uint8Array[] = [];
    for (const { kind, member } of changes) {
      if (kind === CommandKind.MemberAdd) added.push(etcdserverpb.Member.encode(member).finish());
      if (kind !== CommandKind.MemberRemove || !isJoint) this.performSingle(kind, member);
    }
    if (added.length === 0) return this.listBody(2);
    const writer = new WireWriter();
    for (const row of added) writer.message(2, row);
    return Buffer.concat([writer.take(), this.listBody(3)]);
  }

  private performSingle(kind: MembershipKind, member: etcdserverpb.Member): void {
    const { cluster } = this;
    switch (kind) {
      case CommandKind.MemberAdd:
        return cluster.setMember(member);
      case CommandKind.MemberPromote:
        return cluster.setMember({ ...cluster.member(member.ID)!, isLearner: false });
      case CommandKind.MemberRemove:
        return cluster.removeMember(member.ID);
    }
  }

  private removeOthers({ voters, learners }: ConfState): void {
    const stay = new Set([...voters, ...learners]);
    for (const { ID } of this.cluster.members) if (!stay.has(ID)) this.cluster.removeMember(ID);
  }

  /** All members as a repeated field of an answer. */
  listBody(field: number): Uint8Array {
    const writer = new WireWriter();
    for (const member of this.cluster.members) {
      writer.message(field, etcdserverpb.Member.encode(member).finish());
    }
    return writer.take();
  }

  /** The number of learners. */
  get learners(): number {
    return this.cluster.members.filter(({ isLearner }) => isLearner).length;
  }

  private checkUrls(id: MemberId, urls: readonly string[]): void {
    const isTaken = this.cluster.members.some(
      (other) => other.ID !== id && other.peerURLs.some((url) => urls.includes(url)),
    );
    if (isTaken) throw ProtocolError.of('PeerURLExist');
  }
}

function commandOf(change: ConfChange): MembershipCommand {
  const kind = commandKind(change.context);
  const payload = commandPayload(change.context);
  switch (kind) {
    case CommandKind.MemberAdd:
    case CommandKind.MemberRemove:
    case CommandKind.MemberPromote:
      return { kind, member: etcdserverpb.Member.decode(payload) };
    case CommandKind.MembersChange:
      return { kind, changes: membershippb.MembersChange.decode(payload) };
    default:
      throw ProtocolError.of('MemberNotFound');
  }
}
