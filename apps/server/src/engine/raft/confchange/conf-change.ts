import { type MemberId } from '../message.js';

/** `add-voter` also promotes a learner, `add-learner` also makes a voter a learner. */
export type ConfChangeType = 'add-voter' | 'add-learner' | 'remove';

export interface SingleChange {
  readonly type: ConfChangeType;
  readonly member: MemberId;
}

/**
 * How the new configuration comes into force (thesis 4.3).
 *
 * - `auto`: one change at once, several through a joint configuration that the leader leaves by itself.
 * - `implicit`: through a joint configuration that the leader leaves by itself.
 * - `explicit`: through a joint configuration that lasts until a change without `changes` is proposed.
 */
export type ConfTransition = 'auto' | 'explicit' | 'implicit';

/** A membership change, as the data of a `config` entry holds it. Without `changes` it leaves a joint configuration. */
export interface ConfChange {
  readonly changes: readonly SingleChange[];
  readonly transition: ConfTransition;
  /** Opaque to the core: what the host wants to know when the change is applied. */
  readonly context: Uint8Array;
}

/** Thrown when bytes are no membership change in a format that this version knows. */
export class MalformedConfChangeError extends Error {
  override readonly name = 'MalformedConfChangeError';
}

const FORMAT = 1;
const HEADER_BYTES = 8;
const CHANGE_BYTES = 9;
const MAX_CHANGES = 1024;
const TRANSITIONS: readonly ConfTransition[] = ['auto', 'explicit', 'implicit'];
const TYPES: readonly ConfChangeType[] = ['add-voter', 'add-learner', 'remove'];

/**
 * The data of a `config` entry, little endian: u8 format (1), u8 transition, u16 number of changes, u32 length of the
 * context; per change u8 type and u64 member; the context.
 */
export function encodeConfChange({ changes, transition, context }: ConfChange): Uint8Array {
  if (changes.length > MAX_CHANGES) {
    throw new MalformedConfChangeError(
      `${changes.length} changes at once; at most ${MAX_CHANGES} are possible`,
    );
  }
  const bytes = new Uint8Array(HEADER_BYTES + CHANGE_BYTES * changes.length + context.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FORMAT);
  view.setUint8(1, TRANSITIONS.indexOf(transition));
  view.setUint16(2, changes.length, true);
  view.setUint32(4, context.byteLength, true);
  let at = HEADER_BYTES;
  for (const { type, member } of changes) {
    view.setUint8(at, TYPES.indexOf(type));
    view.setBigUint64(at + 1, member, true);
    at += CHANGE_BYTES;
  }
  bytes.set(context, at);
  return bytes;
}

/**
 * The inverse of {@link encodeConfChange}; `context` is a view into `data`.
 *
 * @throws MalformedConfChangeError when the bytes are damaged or were written by a newer version.
 */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.byteLength < HEADER_BYTES) throw new MalformedConfChangeError('a membership change is cut off');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const format = view.getUint8(0);
  if (format !== FORMAT) {
    throw new MalformedConfChangeError(
      `a membership change has format ${format}; this version knows ${FORMAT}`,
    );
  }
  const transition = TRANSITIONS[view.getUint8(1)];
  const count = view.getUint16(2, true);
  const contextAt = HEADER_BYTES + CHANGE_BYTES * count;
  if (transition === undefined || count > MAX_CHANGES) {
    throw new MalformedConfChangeError('a membership change has a damaged head');
  }
  if (data.byteLength !== contextAt + view.getUint32(4, true)) {
    throw new MalformedConfChangeError('the length of a membership change is wrong');
  }
  const changes: SingleChange[] = [];
  for (let at = HEADER_BYTES; at < contextAt; at += CHANGE_BYTES) {
    const type = TYPES[view.getUint8(at)];
    if (type === undefined) throw new MalformedConfChangeError('a membership change has an unknown type');
    changes.push({ type, member: view.getBigUint64(at + 1, true) });
  }
  return { changes, transition, context: data.subarray(contextAt) };
}
