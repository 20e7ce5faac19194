import { AsyncLocalStorage } from 'node:async_hooks';

/** One thing that a chain of calls holds. */
export interface HeldLink {
  readonly type: 'lock' | 'leadership';
  readonly name: string;
  /** The queue in the store. */
  readonly prefix: string;
  readonly clusterId: bigint;
  /** The client, by identity: two clients of one process are told to be of the same cluster by its id only. */
  readonly owner: object;
  readonly held: { isHeld(): boolean };
}

interface Chain extends HeldLink {
  readonly outer: Chain | undefined;
}

/** On globalThis, so that two copies of the package in one process know what the other one holds. */
const storageKey = Symbol.for('@conclave/client/held-chain');

function storage(): AsyncLocalStorage<Chain> {
  const known = globalThis as { [storageKey]?: AsyncLocalStorage<Chain> };
  known[storageKey] ??= new AsyncLocalStorage<Chain>();
  return known[storageKey];
}

/** Runs the function, and everything that it calls and awaits, as one that holds this as well. */
export function runHolding<T>(link: HeldLink, fn: () => T): T {
  const chains = storage();
  return chains.run({ ...link, outer: chains.getStore() }, fn);
}

function* links(): Generator<HeldLink> {
  for (let link = storage().getStore(); link !== undefined; link = link.outer) yield link;
}

/** True when the calling chain holds a place in this queue, of the same client or of the same cluster. */
export function holdsAlready(owner: object, prefix: string, clusterId: bigint | undefined): boolean {
  for (const link of links()) {
    const isSameStore = link.owner === owner || (clusterId !== undefined && link.clusterId === clusterId);
    if (isSameStore && link.prefix === prefix && link.held.isHeld()) return true;
  }
  return false;
}

/** What the calling chain holds, the innermost one of this type and name first. */
export function heldByChain(type: HeldLink['type'], name: string | undefined): HeldLink['held'] | undefined {
  for (const link of links()) {
    if (link.type === type && (name === undefined || link.name === name)) return link.held;
  }
  return undefined;
}
