import { assert } from './assert.js';
import { type Lender } from './lender.js';

/**
 * The DATA octets that one stream has waiting, as the pieces in which the application gave them.
 *
 * Invariant: `bytes` is the sum of the lengths of `pieces[head..]` minus `offset`; no piece is empty; `offset` lies inside
 * `pieces[head]`; `lenders` are those of the pieces at the same places.
 */
export class SendQueue {
  bytes = 0;
  /** Lender of the piece whose last octets `take` gave; undefined when it gave others, and when nobody lent the piece. */
  finished: Lender | undefined;
  private pieces: Uint8Array[] = [];
  private lenders: (Lender | undefined)[] = [];
  private head = 0;
  private offset = 0;

  push(piece: Uint8Array, lender?: Lender): void {
    if (piece.length === 0) return;
    this.pieces.push(piece);
    this.lenders.push(lender);
    this.bytes += piece.length;
  }

  /** Removes and returns at most `max` octets: one piece, or the beginning of one. The queue must not be empty. */
  take(max: number): Uint8Array {
    const piece = this.pieces[this.head];
    assert(piece !== undefined && max > 0, 'a send queue gives octets only while it has some');
    const rest = piece.length - this.offset;
    const length = rest < max ? rest : max;
    const taken = length === piece.length ? piece : piece.subarray(this.offset, this.offset + length);
    this.bytes -= length;
    this.finished = length === rest ? this.lenders[this.head] : undefined;
    if (length === rest) this.advance();
    else this.offset += length;
    return taken;
  }

  clear(): void {
    this.pieces = [];
    this.lenders = [];
    this.finished = undefined;
    this.head = 0;
    this.offset = 0;
    this.bytes = 0;
  }

  private advance(): void {
    this.offset = 0;
    this.head++;
    if (this.head === this.pieces.length) {
      this.pieces.length = 0;
      this.lenders.length = 0;
      this.head = 0;
    } else if (this.head >= 64 && this.head * 2 >= this.pieces.length) {
      // Forget the pieces that are out, at a cost that their number has paid for.
      this.pieces.splice(0, this.head);
      this.lenders.splice(0, this.head);
      this.head = 0;
    }
  }
}
