import { type Condition } from './link.js';

/** Where a member is in a network. */
export interface NetworkPlace {
  readonly host: string;
  readonly clientPort: number;
  /** Where it listens for the others. */
  readonly peerPort: number;
  /** Where the others reach it. */
  readonly advertisedPeerPort: number;
  /** The command in front of the member's own that puts it there. */
  readonly wrapper: readonly string[];
}

/** One direction between two members. */
export interface Way {
  condition: Condition;
}

/** What lies between the members of a cluster, and can be broken. Clients reach every member whatever is broken. */
export interface MemberNetwork {
  /** Stands on the name of the rounds: rounds in one network tell nothing of another one. */
  readonly kind: 'links' | 'namespaces';
  /** A place for a further member. */
  place(name: string): Promise<NetworkPlace>;
  /** Takes connections for a member, as its machine does while it runs. */
  listen(name: string): Promise<void>;
  /** Refuses connections for a member, as its machine does when it has ended. */
  refuse(name: string): void;
  /** A member that does not come back. */
  remove(name: string): void;
  way(from: string, to: string): Way;
  heal(): void;
  close(): Promise<void>;
}

/** Puts all ways between one group and the other, in both directions, into a condition. */
export function between(
  network: MemberNetwork,
  some: readonly string[],
  others: readonly string[],
  condition: Condition,
): void {
  for (const from of some) {
    for (const to of others) {
      if (from === to) continue;
      network.way(from, to).condition = condition;
      network.way(to, from).condition = condition;
    }
  }
}
