import { type Random } from '../../../apps/server/src/engine/platform/random.js';

function mix(a: number, b: number): number {
  let mixed = Math.imul(a ^ b, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const kinds = new Map<string, number>();

function hashOfKind(kind: string): number {
  let hash = kinds.get(kind);
  if (hash === undefined) {
    hash = 0x811c9dc5;
    for (let at = 0; at < kind.length; at++) hash = Math.imul(hash ^ kind.charCodeAt(at), 0x01000193);
    kinds.set(kind, hash);
  }
  return hash;
}

/**
 * All chance of one run, by address: the fate of the counter-th occurrence of a kind of thing at one entity depends on nothing else, so
 * that a run with one event less has the same fates everywhere else.
 */
export class Fate {
  constructor(readonly seed: number) {}

  /** A uniform 32-bit number. */
  at(kind: string, entity: number, counter: number): number {
    return mix(mix(mix(this.seed >>> 0, hashOfKind(kind)), entity), counter + 1);
  }

  /** Draws that belong together, such as the parts of one request. */
  draw(kind: string, entity = 0, counter = 0): Draw {
    return new Draw(this.at(kind, entity, counter));
  }

  below(bound: number, kind: string, entity: number, counter: number): number {
    return Math.floor((this.at(kind, entity, counter) / 2 ** 32) * bound);
  }

  chance(probability: number, kind: string, entity: number, counter: number): boolean {
    return probability > 0 && this.at(kind, entity, counter) / 2 ** 32 < probability;
  }
}

/** The stream of draws of one address (mulberry32). */
export class Draw implements Random {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  uint64(): bigint {
    return (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32));
  }
}
