import { type ByteString } from './backend.js';
import { type Generation } from './generation.js';
import { type SortedMapCursor } from './sorted-map.js';

/**
 * Rows of one layer in key order. `next()` moves to the following row and says whether there is one; then `key` is its
 * key and `value()` its value, undefined when the layer deletes the key. `close()` is called once, at the end.
 */
export interface RowSource {
  readonly key: ByteString;
  next(): boolean;
  value(): Uint8Array | undefined;
  close(): void;
}

/** The rows of a generation. */
export class GenerationSource implements RowSource {
  private readonly keys: SortedMapCursor<undefined>;

  constructor(
    private readonly generation: Generation,
    private readonly table: number,
    from: ByteString,
    to: ByteString | undefined,
    reverse: boolean,
  ) {
    this.keys = generation.keys(table, from, to, reverse);
  }

  get key(): ByteString {
    return this.keys.key;
  }

  next(): boolean {
    return this.keys.next();
  }

  value(): Uint8Array | undefined {
    const address = this.generation.find(this.table, this.keys.key);
    return address === 0 ? undefined : this.generation.value(address);
  }

  close(): void {
    // Holds nothing.
  }
}

/**
 * Visits the rows of several layers as one: `sources` go from the newest layer to the oldest, and of rows with equal
 * keys the newest counts.
 */
export function visitMerged(
  sources: readonly RowSource[],
  reverse: boolean,
  visit: (key: ByteString, value: Uint8Array) => boolean | void,
): void {
  try {
    const live = sources.filter((source) => source.next());
    while (live.length > 0) {
      const first = firstOf(live, reverse);
      const { key } = first;
      const value = first.value();
      if (value !== undefined && visit(key, value) === false) return;
      for (let at = live.length - 1; at >= 0; at--) {
        if (live[at].key === key && !live[at].next()) live.splice(at, 1);
      }
    }
  } finally {
    for (const source of sources) source.close();
  }
}

/** The source whose row comes first; of several the newest. */
function firstOf(live: readonly RowSource[], reverse: boolean): RowSource {
  let first = live[0];
  for (let at = 1; at < live.length; at++) {
    const { key } = live[at];
    if (reverse ? key > first.key : key < first.key) first = live[at];
  }
  return first;
}
