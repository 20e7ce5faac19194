import { Buffer } from 'node:buffer';
import { type HeaderBlock } from './header-block.js';

const SLOTS = 32;

/** Longer blocks are not kept: they rarely come twice and are not worth the memory. */
const BLOCK_BYTES_MAX = 512;

/** Generation of a block that refers to the static table only: it means the same for ever. */
export const ANY_GENERATION = -1;

interface Entry {
  readonly bytes: Buffer;
  readonly generation: number;
  readonly block: HeaderBlock;
}

/**
 * Recognises header blocks by their octets. Only blocks that inserted nothing into the dynamic table may be offered, each
 * with the generation of the table at which it was decoded: the same octets at the same generation decode to the same
 * fields and change nothing, so decoding them again can be left out (RFC 7541 section 3.1: a decoder has no other state).
 */
export class BlockCache {
  private readonly slots = new Array<Entry | undefined>(SLOTS).fill(undefined);
  /** Hash of the block that was last offered to each slot: only a block that comes again is worth a copy. */
  private readonly offered = new Int32Array(SLOTS);
  /** Hash of the block that was last looked for. */
  private hash = 0;
  /** Most connections call one method many times in a row. */
  private last: Entry | undefined = undefined;

  find(buffer: Buffer, start: number, end: number, generation: number): HeaderBlock | undefined {
    const last = this.last;
    if (last !== undefined && matches(last, buffer, start, end, generation)) return last.block;
    if (end - start > BLOCK_BYTES_MAX) return undefined;
    this.hash = hashOf(buffer, start, end);
    const entry = this.slots[this.hash & (SLOTS - 1)];
    if (entry === undefined || !matches(entry, buffer, start, end, generation)) return undefined;
    this.last = entry;
    return entry.block;
  }

  /** Offers a block that was just looked for in vain and has been decoded since. */
  offer(buffer: Buffer, start: number, end: number, generation: number, block: HeaderBlock): void {
    if (end - start > BLOCK_BYTES_MAX) return;
    const slot = this.hash & (SLOTS - 1);
    if (this.offered[slot] !== this.hash) {
      this.offered[slot] = this.hash;
      return;
    }
    const entry = { bytes: Buffer.from(buffer.subarray(start, end)), generation, block };
    this.slots[slot] = entry;
    this.last = entry;
  }
}

function matches(entry: Entry, buffer: Buffer, start: number, end: number, generation: number): boolean {
  const bytes = entry.bytes;
  if (bytes.length !== end - start) return false;
  if (entry.generation !== generation && entry.generation !== ANY_GENERATION) return false;
  for (let i = 0, j = start; j < end; i++, j++) if (bytes[i] !== buffer[j]) return false;
  return true;
}

/** FNV-1a. An adversary can make blocks collide; then they are merely decoded again. */
function hashOf(buffer: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193);
  return hash ^ (hash >>> 15);
}
