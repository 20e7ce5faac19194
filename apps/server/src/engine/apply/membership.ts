import { etcdserverpb, ProtocolError, WireWriter } from '@conclave/protocol';
import { applyChange } from '../raft/confchange/apply-change.js';
import type { ConfChange, ConfChangeType } from '../raft/confchange/conf-change.js';
import type { MemberId } from '../raft/message.js';
import type { ClusterState } from './cluster-state.js';
import { CommandKind, commandKind, commandPayload } from './command.js';

/** The kinds that stand in config entries. */
export type MembershipKind = CommandKind.MemberAdd | CommandKind.MemberRemove | CommandKind.MemberPromote;

/** What a config entry asks for: the change of the configuration, and why. */
interface MembershipCommand {
  readonly kind: MembershipKind;
  readonly member: etcdserverpb.Member;
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
    const command = commandOf(change);
    this.check(command.kind, command.member);
    const { type, member } = change.changes[0];
    const isMeant = change.changes.length === 1 && member === command.member.ID;
    if (!isMeant || type !== changeTypeOf(command.kind, command.member))
      throw ProtocolError.of('MemberNotFound');
  }

  /** Makes a checked change in the rows and returns the answer's fields. */
  perform(change: ConfChange): Uint8Array {
    if (change.changes.length === 0) return new Uint8Array(0);
    const { kind, member } = commandOf(change);
    const { cluster } = this;
    switch (kind) {
      case CommandKind.MemberAdd: {
        cluster.setMember(member);
        const added = etcdserverpb.Member.encode(member).finish();
        return Buffer.concat([new WireWriter(added.length + 8).message(2, added).take(), this.listBody(3)]);
      }
      case CommandKind.MemberPromote:
        cluster.setMember({ ...cluster.member(member.ID)!, isLearner: false });
        return this.listBody(2);
      case CommandKind.MemberRemove:
        cluster.removeMember(member.ID);
        return this.listBody(2);
    }
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
  const member = etcdserverpb.Member.decode(commandPayload(change.context));
  switch (kind) {
    case CommandKind.MemberAdd:
    case CommandKind.MemberRemove:
    case CommandKind.MemberPromote:
      return { kind, member };
    default:
      throw ProtocolError.of('MemberNotFound');
  }
}
