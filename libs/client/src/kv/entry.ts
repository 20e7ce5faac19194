import { Buffer } from 'node:buffer';
import { type mvccpb } from '@conclave/protocol';
import { type KeyNamespace } from '../key-range.js';

/** A position in the store's history: every committed change has its own, and they only grow. */
export type Revision = bigint & { readonly __brand?: 'Revision' };

/** A lease: a 64-bit id that the store gave out. */
export type LeaseId = bigint & { readonly __brand?: 'LeaseId' };

/** One key with its value and its history's marks, at the revision that the enclosing answer names. */
export class Entry {
  /** Without the client's key prefix. Bytes that are no UTF-8 show as U+FFFD here: use `keyBytes` then. */
  readonly key: string;

  constructor(
    readonly keyBytes: Uint8Array,
    readonly value: Uint8Array,
    /** The revision that created this life of the key. */
    readonly createRevision: Revision,
    /** The revision of the last put. */
    readonly modRevision: Revision,
    /** 1n when created, one more with every put. */
    readonly version: bigint,
    /** 0n: bound to no lease. */
    readonly lease: LeaseId,
  ) {
    this.key = Buffer.from(keyBytes.buffer, keyBytes.byteOffset, keyBytes.byteLength).toString('utf8');
  }

  /** The value as UTF-8 text. */
  get text(): string {
    return Buffer.from(this.value.buffer, this.value.byteOffset, this.value.byteLength).toString('utf8');
  }

  /** The value as JSON. @throws SyntaxError when it is none. */
  json(): unknown {
    return JSON.parse(this.text);
  }
}

export function toEntry(kv: mvccpb.KeyValue, names: KeyNamespace): Entry {
  return new Entry(names.strip(kv.key), kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease);
}

export function toEntryOrNull(kv: mvccpb.KeyValue | undefined, names: KeyNamespace): Entry | null {
  return kv === undefined ? null : toEntry(kv, names);
}
