import { Buffer } from 'node:buffer';
import { segment } from '../concurrency/lock-names.js';
import { InvalidArgumentError } from '../errors.js';

/** A position in a topic: the revision of the message after which to go on. As text in a database. */
export type Cursor = bigint & { readonly __brand?: 'Cursor' };

export interface Message {
  readonly topic: string;
  readonly id: string;
  readonly body: Uint8Array;
  /** The body as UTF-8 text. */
  readonly text: string;
  /** Handled up to here: give it to `subscribe` to go on after this message. */
  readonly cursor: Cursor;
}

/** The keys of a topic: one per message, and the revision up to which messages were removed. */
export interface TopicKeys {
  readonly messages: string;
  readonly floor: string;
}

/** @throws InvalidArgumentError for an empty name. */
export function topicKeys(topic: string): TopicKeys {
  if (topic === '')
    throw new InvalidArgumentError('topic: the name is empty; it needs at least one character');
  const prefix = `topics/${segment(topic)}/`;
  return { messages: `${prefix}messages/`, floor: `${prefix}floor` };
}

/** Format 1: the format, the wall clock until which it is kept in 8 bytes (milliseconds, big endian), the body. */
const format = 1;
const headerBytes = 9;

export function encodeMessage(keepUntilMs: number, body: Uint8Array): Uint8Array {
  const value = Buffer.alloc(headerBytes + body.length);
  value.writeUInt8(format, 0);
  value.writeBigUInt64BE(BigInt(Math.ceil(keepUntilMs)), 1);
  value.set(body, headerBytes);
  return value;
}

/** Undefined for a value that is no message of this format. */
export function decodeMessage(
  value: Uint8Array,
): { readonly keepUntilMs: number; readonly body: Uint8Array } | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < headerBytes || bytes.readUInt8(0) !== format) return undefined;
  return { keepUntilMs: Number(bytes.readBigUInt64BE(1)), body: bytes.subarray(headerBytes) };
}
