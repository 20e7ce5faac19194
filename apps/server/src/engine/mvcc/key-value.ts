import { Buffer } from 'node:buffer';
import { type ByteString } from '../backend/backend.js';
import { asBuffer, readByteString, writeByteString } from './byte-string.js';
import { CorruptionError } from './storage-errors.js';
import { varint64Size, varintSize, VarintReader, writeVarint, writeVarint64 } from './varint.js';

/**
 * The protobuf bytes of `mvccpb.KeyValue`, written and read by hand. Fields with their default value are left out, as
 * every protobuf library does, so these are the very bytes that etcd stores and sends:
 *
 *     key "a" put at revision 2 with value "x"      0a 01 61 | 10 02 | 18 02 | 20 01 | 2a 01 78
 *                                                   key        create  mod     version value
 */
const TAG_KEY = 0x0a;
const TAG_CREATE = 0x10;
const TAG_MOD = 0x18;
const TAG_VERSION = 0x20;
const TAG_VALUE = 0x2a;
const TAG_LEASE = 0x30;

const NO_VALUE = new Uint8Array(0);

export function keyValueSize(
  key: ByteString,
  create: number,
  mod: number,
  version: number,
  value: Uint8Array,
  lease: bigint,
): number {
  let size = 0;
  if (key.length > 0) size += 1 + varintSize(key.length) + key.length;
  if (create > 0) size += 1 + varintSize(create);
  if (mod > 0) size += 1 + varintSize(mod);
  if (version > 0) size += 1 + varintSize(version);
  if (value.length > 0) size += 1 + varintSize(value.length) + value.length;
  if (lease !== 0n) size += 1 + varint64Size(lease);
  return size;
}

/** Writes a KeyValue and returns the position behind it. */
export function writeKeyValue(
  target: Buffer,
  at: number,
  key: ByteString,
  create: number,
  mod: number,
  version: number,
  value: Uint8Array,
  lease: bigint,
): number {
  if (key.length > 0) {
    target[at++] = TAG_KEY;
    at = writeVarint(target, at, key.length);
    at = writeByteString(target, at, key);
  }
  if (create > 0) {
    target[at++] = TAG_CREATE;
    at = writeVarint(target, at, create);
  }
  if (mod > 0) {
    target[at++] = TAG_MOD;
    at = writeVarint(target, at, mod);
  }
  if (version > 0) {
    target[at++] = TAG_VERSION;
    at = writeVarint(target, at, version);
  }
  if (value.length > 0) {
    target[at++] = TAG_VALUE;
    at = writeVarint(target, at, value.length);
    target.set(value, at);
    at += value.length;
  }
  if (lease !== 0n) {
    target[at++] = TAG_LEASE;
    at = writeVarint64(target, at, lease);
  }
  return at;
}

const reader = new VarintReader();

/**
 * A stored KeyValue: its exact protobuf bytes, decoded when a field is first asked for. It owns nothing; whoever hands
 * one out says how long its bytes live.
 */
export class StoredKeyValue {
  private isDecoded = false;
  private keyStart = 0;
  private keyEnd = 0;
  private valueStart = 0;
  private valueEnd = 0;
  private createRevision = 0;
  private modRevision = 0;
  private versionNumber = 0;
  private leaseId = 0n;

  constructor(
    private readonly source: Uint8Array,
    private readonly start: number,
    private readonly end: number,
  ) {}

  /** Exactly the protobuf message `mvccpb.KeyValue`. */
  get bytes(): Uint8Array {
    return this.source.subarray(this.start, this.end);
  }

  get key(): ByteString {
    this.decode();
    return readByteString(this.source, this.keyStart, this.keyEnd);
  }

  /** Revision at which the key last came into being. */
  get create(): number {
    this.decode();
    return this.createRevision;
  }

  /** Revision of this version; 0 in a tombstone. */
  get mod(): number {
    this.decode();
    return this.modRevision;
  }

  /** Puts since the key came into being, from 1. */
  get version(): number {
    this.decode();
    return this.versionNumber;
  }

  /** The lease that the key hangs on; 0n: none. */
  get lease(): bigint {
    this.decode();
    return this.leaseId;
  }

  get value(): Uint8Array {
    this.decode();
    return this.source.subarray(this.valueStart, this.valueEnd);
  }

  /** Bytewise order of the values. */
  compareValue(other: StoredKeyValue): number {
    return asBuffer(this.value).compare(other.value);
  }

  /** An independent copy. */
  copy(): StoredKeyValue {
    const bytes = Buffer.from(this.bytes);
    return new StoredKeyValue(bytes, 0, bytes.length);
  }

  private decode(): void {
    if (this.isDecoded) return;
    reader.reset(this.source, this.start, this.end);
    while (!reader.done) this.decodeField(reader.next());
    this.isDecoded = true;
  }

  private decodeField(tag: number): void {
    switch (tag) {
      case TAG_KEY:
        this.keyEnd = this.skipBytes();
        this.keyStart = this.keyEnd - this.lastLength;
        return;
      case TAG_CREATE:
        this.createRevision = reader.next();
        return;
      case TAG_MOD:
        this.modRevision = reader.next();
        return;
      case TAG_VERSION:
        this.versionNumber = reader.next();
        return;
      case TAG_VALUE:
        this.valueEnd = this.skipBytes();
        this.valueStart = this.valueEnd - this.lastLength;
        return;
      case TAG_LEASE:
        this.leaseId = reader.next64();
        return;
      default:
        throw new CorruptionError(`a stored KeyValue has an unknown field (tag ${tag})`);
    }
  }

  private lastLength = 0;

  /** Reads a length, steps over as many bytes and returns the position behind them. */
  private skipBytes(): number {
    this.lastLength = reader.next();
    const end = reader.at + this.lastLength;
    if (end > this.end) throw new CorruptionError('a field of a stored KeyValue is cut short');
    reader.at = end;
    return end;
  }
}

/** The key of a stored KeyValue, without decoding the rest. The key is its first field. */
export function keyOfKeyValue(source: Uint8Array, start: number, end: number): ByteString {
  if (start >= end || source[start] !== TAG_KEY) return '';
  reader.reset(source, start + 1, end);
  const length = reader.next();
  if (reader.at + length > end) throw new CorruptionError('the key of a stored KeyValue is cut short');
  return readByteString(source, reader.at, reader.at + length);
}

/** Where the key field of a stored KeyValue ends. */
export function keyFieldEnd(source: Uint8Array, start: number, end: number): number {
  if (start >= end || source[start] !== TAG_KEY) return start;
  reader.reset(source, start + 1, end);
  const length = reader.next();
  if (reader.at + length > end) throw new CorruptionError('the key of a stored KeyValue is cut short');
  return reader.at + length;
}

/** The bytes of a KeyValue whose value is left out, as a range with `keys_only` answers. */
export function keyValueWithoutValue(
  key: ByteString,
  create: number,
  mod: number,
  version: number,
  lease: bigint,
): Buffer {
  const bytes = Buffer.allocUnsafe(keyValueSize(key, create, mod, version, NO_VALUE, lease));
  writeKeyValue(bytes, 0, key, create, mod, version, NO_VALUE, lease);
  return bytes;
}
