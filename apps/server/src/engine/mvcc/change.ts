import { type Buffer } from 'node:buffer';
import { type ByteString } from '../backend/backend.js';

/**
 * One change of one key. Its bytes live in the transaction's arena: they are valid until the next transaction begins,
 * which is long enough for the watchers that are notified inline.
 */
export class Change {
  constructor(
    readonly key: ByteString,
    /** Position within the transaction, from 0. */
    readonly sub: number,
    /** The key was deleted. */
    readonly tombstone: boolean,
    /** The key came into being: there was no live version before. */
    readonly created: boolean,
    /** The lease that the key hangs on now; 0n: none. */
    readonly lease: bigint,
    /** The lease that it hung on before; 0n: none. */
    readonly previousLease: bigint,
    /** Position of the version before, live or not; main is 0 when there is none. */
    readonly prevMain: number,
    readonly prevSub: number,
    readonly buffer: Buffer,
    /** Where the stored KeyValue is in `buffer`. Of a tombstone it has the key only. */
    readonly keyValueStart: number,
    readonly keyValueEnd: number,
  ) {}
}

/** What one transaction did. */
export interface ChangeSet {
  /** The revision of the transaction; that of the transaction before when nothing changed. */
  readonly revision: number;
  /** Number of changes. */
  readonly count: number;
  /** In order of `sub`. Empty when there are more than {@link CHANGES_LISTED_MAX}: read the log instead. */
  readonly changes: readonly Change[];
  /** All changes are listed. */
  readonly isComplete: boolean;
}

/** A transaction that changes more keys than this does not list them, so that its memory stays bounded. */
export const CHANGES_LISTED_MAX = 4096;

/** Told of every change that moves a key from one lease to another (0n: none); a put that keeps the lease is not told. */
export type LeaseChangeListener = (key: ByteString, from: bigint, to: bigint) => void;
