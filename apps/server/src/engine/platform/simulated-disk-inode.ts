import { Buffer } from 'node:buffer';
import { type Random } from './random.js';

/** The unit that a device writes as a whole. */
export const sectorBytes = 512;

const zeroSector = new Uint8Array(sectorBytes);

/**
 * Decides what a crash leaves: a whole number in [0, options), where 0 is always "as it was durable before". A test passes a
 * fixed answer, a random one, or walks through all of them.
 */
export type CrashChoice = (options: number) => number;

/**
 * The content of one file, as the page cache shows it and as the device has it.
 *
 * Invariant: for every sector that is not in `dirty`, cache and durable copy are equal, except after a failed sync: then
 * the cache shows what the device may not have, and nothing remembers it.
 */
export class SimulatedInode {
  private cache = new Uint8Array(0);
  private cacheSize = 0;
  private durable = new Uint8Array(0);
  private durableSize = 0;
  /** Others have the same bytes, copies of this file or its own other half: they are copied before they change. */
  private isCacheShared = false;
  private isDurableShared = false;
  /** A sync failed, and the device may have anything behind its size. */
  private hasFailed = false;
  /** Per sector that changed since the last sync: all contents it had, oldest first. Any of them may have reached the device. */
  private dirty = new Map<number, Uint8Array[]>();
  /** Sizes since the last sync, oldest first. */
  private sizes: number[] = [];

  get size(): number {
    return this.cacheSize;
  }

  get dirtySectors(): number {
    return this.dirty.size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.cache.slice(Math.min(offset, this.cacheSize), Math.min(offset + length, this.cacheSize));
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.ownCache(end);
    this.cache.set(bytes, offset);
    if (end > this.cacheSize) this.resize(end);
    this.touch(offset, end);
  }

  truncate(size: number): void {
    this.ownCache(size);
    const before = this.cacheSize;
    this.cache.fill(0, size, Math.max(size, before));
    this.resize(size);
    if (size < before) this.touch(size, before);
  }

  /** The next byte of a read at `offset` is damaged, at rest. */
  flipBit(offset: number, bit: number): void {
    this.ownCache(0);
    this.ownDurable(0);
    for (const bytes of [this.cache, this.durable]) {
      if (offset < bytes.length) bytes[offset] = bytes[offset]! ^ (1 << bit);
    }
  }

  sync(): void {
    this.settle((versions) => versions.length);
    this.durableSize = this.cacheSize;
    this.sizes = [];
  }

  /**
   * A sync that fails: the device has some of the changes, the cache shows all of them, and they count as clean, so the
   * next sync does nothing and succeeds.
   */
  failSync(choose: CrashChoice): void {
    this.settle((versions) => choose(versions.length + 1));
    this.durableSize = [this.durableSize, ...this.sizes][choose(this.sizes.length + 1)]!;
    this.sizes = [];
    this.hasFailed = true;
  }

  /** What is left after a power loss. `random` makes the garbage. */
  crash(choose: CrashChoice, random: Random | undefined): SimulatedInode {
    const survivor = this.clone();
    const isClean = this.dirty.size === 0 && this.sizes.length === 0 && !this.hasFailed;
    survivor.settle((versions, sector) => {
      const isBlank = this.isBlank(sector);
      const mayBeGarbage = random !== undefined && isBlank;
      // Zeros over nothing: there is nothing to lose.
      if (isBlank && !mayBeGarbage && versions.every((version) => version === zeroSector)) return 0;
      const choice = choose(versions.length + 1 + (mayBeGarbage ? 1 : 0));
      if (choice <= versions.length) return choice;
      versions.push(garbage(random!));
      return versions.length;
    });
    const size = [this.durableSize, ...this.sizes][choose(this.sizes.length + 1)]!;
    survivor.sizes = [];
    if (!isClean || size > survivor.durable.length) {
      survivor.ownDurable(size);
      survivor.durable.fill(0, size);
      survivor.durableSize = size;
    }
    survivor.hasFailed = false;
    survivor.cache = survivor.durable;
    survivor.cacheSize = size;
    survivor.isCacheShared = survivor.isDurableShared = true;
    return survivor;
  }

  clone(): SimulatedInode {
    const copy = new SimulatedInode();
    this.isCacheShared = this.isDurableShared = copy.isCacheShared = copy.isDurableShared = true;
    copy.cache = this.cache;
    copy.cacheSize = this.cacheSize;
    copy.durable = this.durable;
    copy.durableSize = this.durableSize;
    copy.hasFailed = this.hasFailed;
    for (const [sector, versions] of this.dirty) copy.dirty.set(sector, [...versions]);
    copy.sizes = [...this.sizes];
    return copy;
  }

  /** Brings one version of each dirty sector to the device: 0 is none, n the n-th. */
  private settle(choose: (versions: Uint8Array[], sector: number) => number): void {
    for (const [sector, versions] of this.dirty) {
      const choice = choose(versions, sector);
      if (choice === 0) continue;
      const end = (sector + 1) * sectorBytes;
      this.ownDurable(end);
      this.durable.set(versions[choice - 1]!, sector * sectorBytes);
    }
    this.dirty.clear();
  }

  /** A sector that holds nothing durable may come back as anything when the power fails while it is written. */
  private isBlank(sector: number): boolean {
    return isZero(this.durable.subarray(sector * sectorBytes, (sector + 1) * sectorBytes));
  }

  /** From here on the cache may be changed, up to `size`. */
  private ownCache(size: number): void {
    this.cache = writable(this.cache, size, this.isCacheShared);
    this.isCacheShared = false;
  }

  private ownDurable(size: number): void {
    this.durable = writable(this.durable, size, this.isDurableShared);
    this.isDurableShared = false;
  }

  private resize(size: number): void {
    this.cacheSize = size;
    this.sizes.push(size);
  }

  private touch(from: number, to: number): void {
    if (from === to) return;
    this.ownCache(Math.ceil(to / sectorBytes) * sectorBytes);
    const last = Math.floor((to - 1) / sectorBytes);
    for (let sector = Math.floor(from / sectorBytes); sector <= last; sector++) {
      const content = this.cache.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
      const version = isZero(content) ? zeroSector : content.slice();
      const versions = this.dirty.get(sector);
      if (versions === undefined) this.dirty.set(sector, [version]);
      else versions.push(version);
    }
  }
}

function writable(bytes: Uint8Array<ArrayBuffer>, size: number, isShared: boolean): Uint8Array<ArrayBuffer> {
  if (size <= bytes.length) return isShared ? bytes.slice() : bytes;
  const larger = new Uint8Array(Math.max(size, bytes.length * 2));
  larger.set(bytes);
  return larger;
}

function isZero(bytes: Uint8Array): boolean {
  return (
    Buffer.compare(bytes, bytes.length === sectorBytes ? zeroSector : new Uint8Array(bytes.length)) === 0
  );
}

function garbage(random: Random): Uint8Array {
  const bytes = new Uint8Array(sectorBytes);
  let state = random.below(2 ** 32) | 1;
  for (let i = 0; i < sectorBytes; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}
