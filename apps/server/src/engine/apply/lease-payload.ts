import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';

/** Seconds that a lease has left; 0 takes back what was said before, since it was renewed. */
export interface LeaseRemainder {
  readonly id: bigint;
  readonly remainingSeconds: number;
}

const sayingBytes = 16;
const remainderBytes = 16;
/** Commands of versions that did not note it count for whatever lease has the id. */
const always = Number.MAX_SAFE_INTEGER;

/** What the clocks of a leader say, and of which leases: an id may have been given anew before the command is applied. */
export interface ClockSaying {
  /** The leader's. */
  readonly term: number;
  /** The last entry that it had applied. */
  readonly appliedIndex: number;
}

function writeSaying(payload: Buffer, { term, appliedIndex }: ClockSaying): number {
  const at = payload.writeBigUInt64BE(BigInt(term), 0);
  return payload.writeBigUInt64BE(BigInt(appliedIndex), at);
}

/** The payload of a LeaseExpire command: term and last entry of the leader whose clock ran out, then the lease. */
export function encodeExpiry(saying: ClockSaying, id: bigint): Buffer {
  const payload = Buffer.allocUnsafe(sayingBytes + 8);
  payload.writeBigInt64BE(id, writeSaying(payload, saying));
  return payload;
}

/** Without the last entry in earlier versions. */
export function decodeExpiry(payload: Buffer): ClockSaying & { readonly id: bigint } {
  const isEarlier = payload.length === 16;
  assert(isEarlier || payload.length === sayingBytes + 8, 'an expiry has 24 bytes');
  return {
    term: Number(payload.readBigUInt64BE(0)),
    appliedIndex: isEarlier ? always : Number(payload.readBigUInt64BE(8)),
    id: payload.readBigInt64BE(payload.length - 8),
  };
}

/** The payload of a LeaseCheckpoint command: term and last entry of the leader, then id and seconds of each lease. */
export function encodeCheckpoints(saying: ClockSaying, leases: readonly LeaseRemainder[]): Buffer {
  const payload = Buffer.allocUnsafe(sayingBytes + remainderBytes * leases.length);
  let at = writeSaying(payload, saying);
  for (const { id, remainingSeconds } of leases) {
    at = payload.writeBigInt64BE(id, at);
    at = payload.writeBigUInt64BE(BigInt(remainingSeconds), at);
  }
  return payload;
}

/** Without the last entry in earlier versions, which makes the length odd in eights. */
export function decodeCheckpoints(payload: Buffer): ClockSaying & {
  readonly leases: readonly LeaseRemainder[];
} {
  const isEarlier = payload.length % remainderBytes === 8;
  assert(
    isEarlier || payload.length % remainderBytes === 0,
    'a checkpoint has 16 bytes, and 16 for each lease',
  );
  const leases: LeaseRemainder[] = [];
  for (let at = isEarlier ? 8 : sayingBytes; at < payload.length; at += remainderBytes) {
    const remainingSeconds = Number(payload.readBigUInt64BE(at + 8));
    leases.push({ id: payload.readBigInt64BE(at), remainingSeconds });
  }
  return {
    term: Number(payload.readBigUInt64BE(0)),
    appliedIndex: isEarlier ? always : Number(payload.readBigUInt64BE(8)),
    leases,
  };
}
