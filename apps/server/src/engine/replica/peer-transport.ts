import type { ConfState, MemberId } from '../raft/message.js';
import type { PeerMessage } from './peer-message.js';

/** A state of the whole store, as a file on this member's disk. */
export interface StateFile {
  /** The last entry that the state holds, and its term. */
  readonly index: number;
  readonly term: number;
  /** The configuration in force at `index`. */
  readonly confState: ConfState;
  readonly path: string;
}

/** A state that another member sent; the file is complete and every checksum in it was right. The receiver removes it. */
export interface ReceivedState extends StateFile {
  readonly from: MemberId;
  /** The sender's term when it began to send. */
  readonly senderTerm: number;
}

/**
 * The network between members, as the replica sees it. `send` never blocks and never fails: what cannot be sent is
 * dropped, and raft sends again. Messages of one call may arrive in any order, late, twice or never.
 */
export interface PeerTransport {
  send(messages: readonly PeerMessage[]): void;
  /** All other members of the cluster and their peer URLs, whenever that changes; connections to others are closed. */
  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void;
  /**
   * Sends a state, resuming where a broken connection left off. Resolves when the receiver has all of it and every
   * checksum was right; rejects when it cannot be brought over. The file must stay until then. One at a time per member.
   */
  sendState(to: MemberId, senderTerm: number, state: StateFile): Promise<void>;
  /** Set by the replica: called with each message that arrived, already checked for cluster and addressee. */
  onMessage: ((message: PeerMessage) => void) | undefined;
  /** Set by the replica: called with each state that arrived whole. */
  onState: ((state: ReceivedState) => void) | undefined;
  /** Set by the replica: the connection of a member closed and connecting anew is refused. */
  onUnreachable: ((member: MemberId) => void) | undefined;
  /** Set by the replica: messages that were on the way to this member may be lost. */
  onSendFailed: ((member: MemberId) => void) | undefined;
  /** Set by the replica: the cluster says that this member was removed from it. */
  onRemoved: (() => void) | undefined;
  /** Set by the replica: whether an id is that of a member that was removed; such a member is refused, and told why. */
  isRemoved?: ((member: MemberId) => boolean) | undefined;
  close(): Promise<void>;
}

/** The transport of a member that has no peers. */
export class NoPeers implements PeerTransport {
  onMessage: PeerTransport['onMessage'];
  onState: PeerTransport['onState'];
  onUnreachable: PeerTransport['onUnreachable'];
  onSendFailed: PeerTransport['onSendFailed'];
  onRemoved: PeerTransport['onRemoved'];

  send(): void {}

  setPeers(): void {}

  sendState(to: MemberId): Promise<void> {
    return Promise.reject(new Error(`member ${to.toString(16)} cannot be reached: this member has no peers`));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
