import { Buffer } from 'node:buffer';
import { varint64Size, varintSize, writeVarint, writeVarint64 } from '../mvcc/varint.js';
import { watchIdField } from './watcher.js';

/** The parts of a response header that do not belong to the store. */
export interface WatchHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly raftTerm: number;
}

/** A response without events. */
export interface ControlResponse {
  readonly id: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
}

const TAG_HEADER = 0x0a;
const TAG_CLUSTER_ID = 0x08;
const TAG_MEMBER_ID = 0x10;
const TAG_REVISION = 0x18;
const TAG_RAFT_TERM = 0x20;
const TAG_CREATED = 0x18;
const TAG_CANCELED = 0x20;
const TAG_COMPACT_REVISION = 0x28;
const TAG_CANCEL_REASON = 0x32;

/** Encodes the field `WatchResponse.header`; the last one is kept, as all responses of one revision share it. */
export class HeaderField {
  private revision = -1;
  private raftTerm = -1;
  private clusterId = -1n;
  private memberId = -1n;
  /** The encoded ids, which hardly ever change. */
  private ids = new Uint8Array(0);
  private field = new Uint8Array(0);

  constructor(private readonly header: () => WatchHeader) {}

  /** @param revision 0 leaves it out. */
  at(revision: number): Uint8Array {
    const { clusterId, memberId, raftTerm } = this.header();
    const hasSameIds = clusterId === this.clusterId && memberId === this.memberId;
    if (hasSameIds && raftTerm === this.raftTerm && revision === this.revision) return this.field;
    if (!hasSameIds) {
      this.clusterId = clusterId;
      this.memberId = memberId;
      this.ids = encodeIds(clusterId, memberId);
    }
    this.revision = revision;
    this.raftTerm = raftTerm;
    this.field = this.encode(revision, raftTerm);
    return this.field;
  }

  private encode(revision: number, raftTerm: number): Uint8Array<ArrayBuffer> {
    const { ids } = this;
    let bodyBytes = ids.length;
    if (revision > 0) bodyBytes += 1 + varintSize(revision);
    if (raftTerm > 0) bodyBytes += 1 + varintSize(raftTerm);
    const field = new Uint8Array(2 + bodyBytes);
    field[0] = TAG_HEADER;
    field[1] = bodyBytes;
    field.set(ids, 2);
    let at = 2 + ids.length;
    if (revision > 0) {
      field[at++] = TAG_REVISION;
      at = writeVarint(field, at, revision);
    }
    if (raftTerm > 0) {
      field[at++] = TAG_RAFT_TERM;
      writeVarint(field, at, raftTerm);
    }
    return field;
  }
}

function encodeIds(clusterId: bigint, memberId: bigint): Uint8Array<ArrayBuffer> {
  const ids = new Uint8Array(2 + varint64Size(clusterId) + varint64Size(memberId));
  let at = 0;
  if (clusterId !== 0n) {
    ids[at++] = TAG_CLUSTER_ID;
    at = writeVarint64(ids, at, clusterId);
  }
  if (memberId !== 0n) {
    ids[at++] = TAG_MEMBER_ID;
    at = writeVarint64(ids, at, memberId);
  }
  return ids.slice(0, at);
}

/** Encodes a response that carries no events. */
export function encodeControl(header: Uint8Array, response: ControlResponse): Uint8Array {
  const id = watchIdField(response.id);
  const compactRevision = response.compactRevision ?? 0;
  const reason = Buffer.from(response.cancelReason ?? '', 'utf8');
  const size =
    header.length +
    id.length +
    (response.created === true ? 2 : 0) +
    (response.canceled === true ? 2 : 0) +
    (compactRevision > 0 ? 1 + varintSize(compactRevision) : 0) +
    (reason.length > 0 ? 1 + varintSize(reason.length) + reason.length : 0);
  const message = new Uint8Array(size);
  message.set(header);
  message.set(id, header.length);
  let at = header.length + id.length;
  if (response.created === true) {
    message[at++] = TAG_CREATED;
    message[at++] = 1;
  }
  if (response.canceled === true) {
    message[at++] = TAG_CANCELED;
    message[at++] = 1;
  }
  if (compactRevision > 0) {
    message[at++] = TAG_COMPACT_REVISION;
    at = writeVarint(message, at, compactRevision);
  }
  if (reason.length > 0) {
    message[at++] = TAG_CANCEL_REASON;
    at = writeVarint(message, at, reason.length);
    message.set(reason, at);
  }
  return message;
}
