/** What an entry counts beyond its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;

/** The size of a field as the dynamic table and SETTINGS_MAX_HEADER_LIST_SIZE count it, octets. */
export function fieldSize(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

/**
 * The dynamic table (RFC 7541 section 2.3.2): a queue of fields, newest first, evicted from the old end.
 *
 * Invariants: `size` is the sum of the sizes of the entries and at most `maxSize`; `generation` changes with every change of
 * the content, so octets that were decoded at one generation mean the same as long as it stands.
 */
export class DynamicTable {
  size = 0;
  length = 0;
  generation = 0;
  /** Number of entries ever inserted: the newest entry has the number `inserted - 1`. */
  inserted = 0;
  /** Ring: entry number n is at n % capacity. Capacity is a power of two. */
  private names: string[] = new Array<string>(8).fill('');
  private values: string[] = new Array<string>(8).fill('');

  constructor(public maxSize: number) {}

  /** Name of the entry at `position`, 0 being the newest. */
  name(position: number): string {
    return this.names[(this.inserted - 1 - position) & (this.names.length - 1)];
  }

  /** Value of the entry at `position`, 0 being the newest. */
  value(position: number): string {
    return this.values[(this.inserted - 1 - position) & (this.values.length - 1)];
  }

  /** Inserts a field; one that is larger than the table empties it (section 4.4). Returns whether it is in the table. */
  insert(name: string, value: string): boolean {
    const size = fieldSize(name, value);
    this.generation++;
    this.evict(this.maxSize - size);
    if (size > this.maxSize) return false;
    if (this.length === this.names.length) this.grow();
    const slot = this.inserted & (this.names.length - 1);
    this.names[slot] = name;
    this.values[slot] = value;
    this.inserted++;
    this.length++;
    this.size += size;
    return true;
  }

  /** Changes the capacity and evicts what no longer fits (section 4.3). */
  resize(maxSize: number): void {
    this.generation++;
    this.maxSize = maxSize;
    this.evict(maxSize);
  }

  /** Called for every entry that leaves, with its number. */
  protected evicted(_name: string, _value: string, _number: number): void {}

  private evict(limit: number): void {
    while (this.length > 0 && this.size > limit) {
      const position = this.length - 1;
      const name = this.name(position);
      const value = this.value(position);
      const number = this.inserted - this.length;
      const slot = number & (this.names.length - 1);
      this.names[slot] = '';
      this.values[slot] = '';
      this.length--;
      this.size -= fieldSize(name, value);
      this.evicted(name, value, number);
    }
  }

  private grow(): void {
    const capacity = this.names.length * 2;
    const names = new Array<string>(capacity).fill('');
    const values = new Array<string>(capacity).fill('');
    for (let position = 0; position < this.length; position++) {
      const slot = (this.inserted - 1 - position) & (capacity - 1);
      names[slot] = this.name(position);
      values[slot] = this.value(position);
    }
    this.names = names;
    this.values = values;
  }
}
