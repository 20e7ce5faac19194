import { HpackError } from './error.js';
import { CODE_LENGTHS, CODES, EOS } from './huffman-code.js';

/**
 * The decoder is a finite automaton that eats four bits at a time. A state is an inner node of the code tree (there are
 * 256, the root is 0); the shortest code has five bits, so a step ends at most one code. A transition is packed as
 * `next << 16 | flags | symbol`.
 *
 * Worked example: "a" is 00011. From the root the nibble 0001 leads to the node "0001" and emits nothing; the nibble 1111
 * completes "00011", emits "a" and continues with the bits 111 to the node "111", where padding may end.
 */
const EMITS = 0x100;
const FAILS = 0x200;
const TRANSITIONS = new Uint32Array(256 * 16);

/** 1 for a state in which a string may end: the bits since the last code are at most seven, all ones (RFC 7541 section 5.2). */
const MAY_END = new Uint8Array(256);

buildAutomaton();

/** Octets that the Huffman code of `text` (latin1) takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_LENGTHS[text.charCodeAt(i)];
  return (bits + 7) >>> 3;
}

/** Writes the Huffman code of `text` (latin1) to `target` at `offset`, which must have room, and returns the new offset. */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  let pending = 0; // the low `count` bits are not written yet; count < 8 between symbols
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    const code = CODES[symbol];
    let length = CODE_LENGTHS[symbol];
    // Codes have up to 30 bits: in two steps, so that `pending` never needs more than 31.
    if (length > 16) {
      length -= 16;
      pending = (pending << length) | (code >>> 16);
      count += length;
      while (count >= 8) target[offset++] = pending >>> (count -= 8);
      pending &= 0xff;
      length = 16;
    }
    pending = (pending << length) | (code & 0xffff & ((1 << length) - 1));
    count += length;
    while (count >= 8) target[offset++] = pending >>> (count -= 8);
    pending &= 0xff;
  }
  if (count > 0) target[offset++] = (pending << (8 - count)) | (0xff >>> count);
  return offset;
}

/**
 * Decodes `source[start, end)` into `target` at 0, which must have room for 8/5 of the octets, and returns the number of
 * octets written.
 *
 * @throws HpackError when the string contains EOS or is not padded with at most seven ones.
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const octet = source[i];
    let step = TRANSITIONS[(state << 4) | (octet >>> 4)];
    if ((step & EMITS) !== 0) target[length++] = step;
    if ((step & FAILS) !== 0) throw new HpackError('Huffman string contains EOS');
    step = TRANSITIONS[((step >>> 16) << 4) | (octet & 0xf)];
    if ((step & EMITS) !== 0) target[length++] = step;
    if ((step & FAILS) !== 0) throw new HpackError('Huffman string contains EOS');
    state = step >>> 16;
  }
  if (MAY_END[state] === 0) throw new HpackError('Huffman string has wrong padding');
  return length;
}

/** Builds the code tree (children of node n at 2n and 2n + 1; a leaf is `-1 - symbol`) and from it the automaton. */
function buildAutomaton(): void {
  const children = new Int32Array(512);
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    const code = CODES[symbol];
    let node = 0;
    for (let bit = CODE_LENGTHS[symbol] - 1; bit >= 0; bit--) {
      const edge = 2 * node + ((code >>> bit) & 1);
      if (bit === 0) children[edge] = -1 - symbol;
      else if (children[edge] === 0) children[edge] = nodes++;
      node = children[edge];
    }
  }
  for (let state = 0; state < nodes; state++) {
    for (let nibble = 0; nibble < 16; nibble++)
      TRANSITIONS[(state << 4) | nibble] = step(children, state, nibble);
  }
  for (let depth = 0, node = 0; depth <= 7; depth++, node = children[2 * node + 1]) MAY_END[node] = 1;
}

function step(children: Int32Array, state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = children[2 * node + ((nibble >>> bit) & 1)];
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return FAILS;
    emitted = EMITS | symbol;
    node = 0;
  }
  return (node << 16) | emitted;
}
