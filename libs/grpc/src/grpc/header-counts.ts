import { type HeaderBlock } from '../http2/header-block.js';

/** Clients choose the values: beyond so many, those that are new count together, and so do those that are long. */
const valuesMax = 32;
const valueLengthMax = 64;
const otherValues = 'other';

/** Calls of one kind that began with one value of the header. */
export class HeaderCount {
  started = 0;

  constructor(
    readonly kind: 'unary' | 'stream',
    /** Undefined stands for calls without that header, `other` for long values and those beyond the first 32. */
    readonly value: string | undefined,
  ) {}
}

/**
 * Counts the calls of a server by the value of one header, such as the version that clients say they have.
 *
 * Invariant: there are at most 2 × 34 counts, whatever clients send.
 */
export class HeaderCounts {
  readonly #counts = {
    unary: new Map<string | undefined, HeaderCount>(),
    stream: new Map<string | undefined, HeaderCount>(),
  };

  /** Without a header all calls of a kind count together. */
  constructor(private readonly header: string | undefined) {}

  of(kind: 'unary' | 'stream', block: HeaderBlock): HeaderCount {
    const counts = this.#counts[kind];
    let value = this.header === undefined ? undefined : block.get(this.header);
    if (value !== undefined && !counts.has(value)) {
      if (counts.size >= valuesMax || value.length > valueLengthMax) value = otherValues;
    }
    let count = counts.get(value);
    if (count === undefined) counts.set(value, (count = new HeaderCount(kind, value)));
    return count;
  }

  get all(): HeaderCount[] {
    return [...this.#counts.unary.values(), ...this.#counts.stream.values()];
  }
}
