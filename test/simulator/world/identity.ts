/** A member of the simulated cluster. Members are numbered from 1, in the order in which they came. */
export interface Identity {
  readonly number: number;
  readonly id: bigint;
  readonly name: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

const firstId = 0xa1n;

/** All that ever were members: founders, and those that were added later. */
export class Identities {
  readonly all: Identity[] = [];
  readonly founders: readonly Identity[];
  private readonly byId = new Map<bigint, Identity>();

  constructor(founders: number) {
    for (let at = 0; at < founders; at++) this.add(firstId + BigInt(at));
    this.founders = [...this.all];
  }

  /** The next member; its id is what the cluster gave it. */
  add(id: bigint): Identity {
    const number = this.all.length + 1;
    const identity = {
      number,
      id,
      name: `m${number}`,
      peerUrl: peerUrlOf(number),
      clientUrl: clientUrlOf(number),
    };
    this.all.push(identity);
    this.byId.set(id, identity);
    return identity;
  }

  /** Undefined for an id that no machine has yet. */
  numberOf(id: bigint): number | undefined {
    return this.byId.get(id)?.number;
  }
}

function peerUrlOf(number: number): string {
  return `http://127.0.0.${number}:2380`;
}

export function clientUrlOf(number: number): string {
  return `http://127.0.0.${number}:2379`;
}

/** The number of the member that clients find at an address. */
export function numberOfClientUrl(url: string): number {
  return Number(/\.(\d+):/.exec(url)![1]);
}
