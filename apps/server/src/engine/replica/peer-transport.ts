import type { MemberId, Message } from '../raft/message.js';

/**
 * The network between members, as the replica sees it. `send` never blocks and never fails: what cannot be sent is
 * dropped, and raft sends again. Messages of one call may arrive in any order, late, twice or never.
 */
export interface PeerTransport {
  send(messages: readonly Message[]): void;
  /** Set by the replica: called with each message that arrived, already checked for cluster and addressee. */
  onMessage: ((message: Message) => void) | undefined;
  /** Set by the replica: the connection of a member closed and connecting anew is refused. */
  onUnreachable: ((member: MemberId) => void) | undefined;
  close(): Promise<void>;
}

/** The transport of a member that has no peers. */
export class NoPeers implements PeerTransport {
  onMessage: ((message: Message) => void) | undefined;
  onUnreachable: ((member: MemberId) => void) | undefined;

  send(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
