import { assert } from '../platform/assert.js';

/** Seconds that a lease has left; 0 takes back what was said before, since it was renewed. */
export interface LeaseRemainder {
  readonly id: bigint;
  readonly remainingSeconds: number;
}

const remainderBytes = 16;

/** The payload of a LeaseExpire command: the term in which the clock ran out, then the lease. */
export function encodeExpiry(term: number, id: bigint): Buffer {
  const payload = Buffer.allocUnsafe(16);
  payload.writeBigUInt64BE(BigInt(term), 0);
  payload.writeBigInt64BE(id, 8);
  return payload;
}

export function decodeExpiry(payload: Buffer): { readonly term: number; readonly id: bigint } {
  assert(payload.length === 16, 'an expiry has 16 bytes');
  return { term: Number(payload.readBigUInt64BE(0)), id: payload.readBigInt64BE(8) };
}

/** The payload of a LeaseCheckpoint command: the term in which the clocks said so, then id and seconds of each lease. */
export function encodeCheckpoints(term: number, leases: readonly LeaseRemainder[]): Buffer {
  const payload = Buffer.allocUnsafe(8 + remainderBytes * leases.length);
  let at = payload.writeBigUInt64BE(BigInt(term), 0);
  for (const { id, remainingSeconds } of leases) {
    at = payload.writeBigInt64BE(id, at);
    at = payload.writeBigUInt64BE(BigInt(remainingSeconds), at);
  }
  return payload;
}

export function decodeCheckpoints(payload: Buffer): {
  readonly term: number;
  readonly leases: readonly LeaseRemainder[];
} {
  assert(payload.length % remainderBytes === 8, 'a checkpoint has a term and 16 bytes for each lease');
  const leases: LeaseRemainder[] = [];
  for (let at = 8; at < payload.length; at += remainderBytes) {
    const remainingSeconds = Number(payload.readBigUInt64BE(at + 8));
    leases.push({ id: payload.readBigInt64BE(at), remainingSeconds });
  }
  return { term: Number(payload.readBigUInt64BE(0)), leases };
}
