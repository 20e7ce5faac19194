import { DynamicTable } from './dynamic-table.js';

interface KnownName {
  /** Number of the newest entry of this name. */
  newest: number;
  /** Number of the newest entry of each value. */
  readonly values: Map<string, number>;
}

/**
 * The dynamic table of an encoder, which can also be searched.
 *
 * Invariant: `known` holds exactly the names and values of the entries in the table, each with its newest entry.
 */
export class EncoderTable extends DynamicTable {
  private readonly known = new Map<string, KnownName>();

  /** Position (0 is the newest) of the field, or -1. */
  findField(name: string, value: string): number {
    const number = this.known.get(name)?.values.get(value);
    return number === undefined ? -1 : this.inserted - 1 - number;
  }

  /** Position (0 is the newest) of an entry with this name, or -1. */
  findName(name: string): number {
    const entry = this.known.get(name);
    return entry === undefined ? -1 : this.inserted - 1 - entry.newest;
  }

  override insert(name: string, value: string): boolean {
    const number = this.inserted;
    if (!super.insert(name, value)) return false;
    const entry = this.known.get(name);
    if (entry === undefined) {
      this.known.set(name, { newest: number, values: new Map([[value, number]]) });
    } else {
      entry.newest = number;
      entry.values.set(value, number);
    }
    return true;
  }

  protected override evicted(name: string, value: string, number: number): void {
    const entry = this.known.get(name);
    if (entry === undefined) return;
    if (entry.values.get(value) === number) entry.values.delete(value);
    if (entry.newest === number) this.known.delete(name);
  }
}
