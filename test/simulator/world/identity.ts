/** A member of the simulated cluster. Members are numbered from 1. */
export interface Identity {
  readonly number: number;
  readonly id: bigint;
  readonly name: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

const firstId = 0xa1n;

/** The members of a cluster of `count`. */
export function identities(count: number): Identity[] {
  return Array.from({ length: count }, (_, at) => ({
    number: at + 1,
    id: firstId + BigInt(at),
    name: `m${at + 1}`,
    peerUrl: `http://127.0.0.${at + 1}:2380`,
    clientUrl: `http://127.0.0.${at + 1}:2379`,
  }));
}

export function numberOf(id: bigint): number {
  return Number(id - firstId) + 1;
}
