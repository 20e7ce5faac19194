import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';

/**
 * What the replicated log carries: one command per normal entry. Bytes, all integers big-endian:
 *
 *   0      format, now 1; a newer one is refused (the member must be upgraded before it can apply it)
 *   1      kind
 *   2-9    member that proposed it
 *   10-17  boot: a random number of that member's process
 *   18-23  sequence within that boot, from 1
 *   24-    payload: the protobuf request of that kind, exactly as the client sent it
 *
 * Example, put of key "a" with value "b" by member 0x1, boot 0x2, sequence 3:
 *   01 01 0000000000000001 0000000000000002 000000000003 0a0161 120162
 *
 * (member, boot, sequence) names a proposal for ever, so that one that is sent twice can be applied once.
 */
export const commandFormat = 1;
/** Sequences have 48 bits. */
const sequenceEnd = 2 ** 48;
/** Where the payload begins. */
export const commandHeaderBytes = 24;

/** Kinds are part of the log's format: numbers are never reused. */
export enum CommandKind {
  Put = 1,
  DeleteRange = 2,
  Txn = 3,
  Compact = 4,
  LeaseGrant = 5,
  LeaseRevoke = 6,
  /** A revoke because the lease ran out: u64 term and u64 last entry of the leader whose clock ran out, then the id as i64. */
  LeaseExpire = 7,
  Alarm = 8,
  /** An etcdserverpb.Member: the name and client URLs that a member publishes. */
  MemberAttributes = 9,
  /** The cluster version as UTF-8 semver. */
  ClusterVersion = 10,
  /** An etcdserverpb.MemberUpdateRequest. */
  MemberUpdate = 11,
  /** What leases have left: u64 term of the leader that says so, then for each the id as i64 and u64 seconds. */
  LeaseCheckpoint = 12,
  /**
   * A change of the members, an etcdserverpb.Member. These kinds stand in the context of a config entry, never in a
   * normal one.
   */
  MemberAdd = 13,
  MemberRemove = 14,
  MemberPromote = 15,
  /** Several such changes at once, a conclave.v1.MembersChange; also in the context of a config entry only. */
  MembersChange = 16,
}

/** One process of a member, as the proposer of commands. */
export class Proposer {
  /** Member and boot as they stand in every header. */
  readonly bytes = Buffer.allocUnsafe(16);

  constructor(
    readonly member: bigint,
    readonly boot: bigint,
  ) {
    this.bytes.writeBigUInt64BE(member, 0);
    this.bytes.writeBigUInt64BE(boot, 8);
  }

  /** Whether this process made the command. */
  made(command: Uint8Array): boolean {
    return this.bytes.compare(command, 2, 2 + this.bytes.length) === 0;
  }
}

/** Names a proposal for ever: `sequence` counts those of one process. */
export interface CommandIdentity {
  readonly member: bigint;
  readonly boot: bigint;
  readonly sequence: number;
}

/** Thrown when an entry cannot be read: damaged, or written by a newer version. The member must stop. */
export class CommandFormatError extends Error {
  override readonly name = 'CommandFormatError';
}

/** Encodes a command; the payload is copied. */
export function encodeCommand(
  kind: CommandKind,
  proposer: Proposer,
  sequence: number,
  payload: Uint8Array,
): Buffer {
  assert(
    Number.isSafeInteger(sequence) && sequence > 0 && sequence < sequenceEnd,
    'command sequence in range',
  );
  const bytes = Buffer.allocUnsafe(commandHeaderBytes + payload.length);
  bytes[0] = commandFormat;
  bytes[1] = kind;
  bytes.set(proposer.bytes, 2);
  bytes.writeUIntBE(sequence, 18, 6);
  bytes.set(payload, commandHeaderBytes);
  return bytes;
}

/** The same command as a further proposal of the process that made it. */
export function renumberCommand(command: Uint8Array, sequence: number): Buffer {
  const bytes = Buffer.from(command);
  bytes.writeUIntBE(sequence, 18, 6);
  return bytes;
}

/** The sequence of a command that has a whole header. */
export function sequenceOf(command: Uint8Array): number {
  let sequence = 0;
  for (let at = 18; at < commandHeaderBytes; at++) sequence = sequence * 256 + command[at];
  return sequence;
}

/**
 * The kind of a command, whose payload then begins at {@link commandHeaderBytes}.
 *
 * @throws CommandFormatError for data that is too short, of an unknown kind or of a newer format.
 */
export function commandKind(data: Uint8Array): CommandKind {
  if (data.length < commandHeaderBytes) {
    throw new CommandFormatError(`log entry of ${data.length} bytes is shorter than a command's header`);
  }
  if (data[0] !== commandFormat) {
    throw new CommandFormatError(
      `log entry has command format ${data[0]}, this version reads format ${commandFormat}: ` +
        'start the version of Conclave that wrote this data directory, or a newer one',
    );
  }
  if (CommandKind[data[1]] === undefined) {
    throw new CommandFormatError(`log entry has the unknown command kind ${data[1]}`);
  }
  return data[1];
}

/**
 * Whether a command raises or takes back an alarm: taken even by a member whose store cannot keep up, since that may be for
 * lack of the very space that the alarm is about.
 */
export function isAlarm(command: Uint8Array): boolean {
  return command[1] === CommandKind.Alarm;
}

/** A view of a command's payload. */
export function commandPayload(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset + commandHeaderBytes, data.length - commandHeaderBytes);
}

/** A command with all that its header says; who only applies it needs kind and payload. */
export interface Command extends CommandIdentity {
  readonly kind: CommandKind;
  /** A view into the entry's data. */
  readonly payload: Buffer;
}

/**
 * Decodes a command without copying its payload.
 *
 * @throws CommandFormatError as {@link commandKind}.
 */
export function decodeCommand(data: Uint8Array): Command {
  const kind = commandKind(data);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  return {
    kind,
    member: bytes.readBigUInt64BE(2),
    boot: bytes.readBigUInt64BE(10),
    sequence: bytes.readUIntBE(18, 6),
    payload: commandPayload(data),
  };
}
