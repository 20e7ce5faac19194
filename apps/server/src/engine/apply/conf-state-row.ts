import { Buffer } from 'node:buffer';
import { BackendError } from '../backend/backend-error.js';
import type { ConfState, MemberId } from '../raft/message.js';

/**
 * How the configuration in force is stored: format, auto-leave, then the four lists, each as a count u16 and its ids
 * u64, big endian.
 *
 *     voters 1 and 2, no learners   01 00 | 0002 0000000000000001 0000000000000002 | 0000 | 0000 | 0000
 */
const FORMAT = 1;

export function encodeConfState(confState: ConfState): Buffer {
  const lists = [confState.voters, confState.learners, confState.outgoing, confState.learnersNext];
  const ids = lists.reduce((count, list) => count + list.length, 0);
  const bytes = Buffer.alloc(2 + 2 * lists.length + 8 * ids);
  bytes[0] = FORMAT;
  bytes[1] = confState.autoLeave ? 1 : 0;
  let at = 2;
  for (const list of lists) {
    at = bytes.writeUInt16BE(list.length, at);
    for (const id of list) at = bytes.writeBigUInt64BE(id, at);
  }
  return bytes;
}

/** @throws BackendError when the row is damaged or of a newer format. */
export function decodeConfState(row: Uint8Array): ConfState {
  const bytes = Buffer.from(row);
  if (bytes.length > 0 && bytes[0] > FORMAT) {
    throw new BackendError(
      'newer-format',
      `The configuration is stored in format ${bytes[0]}, but this version reads formats up to ${FORMAT}. ` +
        'Start the version that wrote it, or a newer one.',
    );
  }
  let at = 2;
  const list = (): MemberId[] => {
    const ids: MemberId[] = [];
    const count = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    at += 2;
    if (at + 8 * count > bytes.length) throw damaged(bytes.length);
    for (; ids.length < count; at += 8) ids.push(bytes.readBigUInt64BE(at));
    return ids;
  };
  const [voters, learners, outgoing, learnersNext] = [list(), list(), list(), list()];
  if (bytes[0] !== FORMAT || at !== bytes.length) throw damaged(bytes.length);
  return { voters, learners, outgoing, learnersNext, autoLeave: bytes[1] === 1 };
}

function damaged(length: number): BackendError {
  return new BackendError(
    'damaged-file',
    `The configuration is stored in ${length} bytes that cannot be read.`,
  );
}
