import { Buffer } from 'node:buffer';
import { GrpcStatus, type IncomingMetadata, type MetadataEntries } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { FieldCursor, FieldWriter, MalformedMessageError } from './byte-fields.js';
import { type Lane } from './message-kinds.js';

/** Version of what members say to each other. Members that speak different ones do not understand each other. */
export const protocolVersion = 1;

export const peerPaths = {
  messages: '/conclave.Peer/Messages',
  state: '/conclave.Peer/State',
  probe: '/conclave.Peer/Probe',
  members: '/conclave.Peer/Members',
} as const;

/** What every stream begins with: who speaks, and to whom it believes to speak. */
export interface Introduction {
  readonly clusterId: bigint;
  readonly from: MemberId;
  readonly to: MemberId;
  /** Where the sender can be reached; whoever does not know it yet answers there. */
  readonly peerUrls: readonly string[];
  readonly lane: Lane;
}

/** Why a member does not speak with another one. */
export type RefusalCause =
  | 'protocol'
  | 'cluster'
  | 'receiver'
  | 'own-id'
  | 'twin'
  | 'contested'
  | 'removed'
  | 'starting'
  | 'unknown'
  | 'malformed';

export interface Refusal {
  readonly cause: RefusalCause;
  readonly code: GrpcStatus;
  readonly message: string;
}

const urlsMax = 16;
const urlBytesMax = 512;
const names = {
  protocol: 'conclave-peer-protocol',
  cluster: 'conclave-cluster-id',
  from: 'conclave-from',
  to: 'conclave-to',
  urls: 'conclave-peer-urls-bin',
  lane: 'conclave-lane',
  refusal: 'conclave-refusal',
} as const;

/** The introduction as metadata of a call. */
export function metadataOf(introduction: Introduction): MetadataEntries {
  return {
    [names.protocol]: String(protocolVersion),
    [names.cluster]: introduction.clusterId.toString(16),
    [names.from]: introduction.from.toString(16),
    [names.to]: introduction.to.toString(16),
    [names.urls]: introduction.peerUrls.map((url) => Buffer.from(url, 'utf8')),
    [names.lane]: introduction.lane,
  };
}

/** Reads an introduction; a refusal when it is none. Whether it is welcome is not looked at here. */
export function introductionOf(metadata: IncomingMetadata): Introduction | Refusal {
  const protocol = metadata.get(names.protocol);
  if (protocol !== String(protocolVersion)) {
    return refusal(
      'protocol',
      `the peer speaks version ${quoted(protocol)} of the member protocol, this member ${protocolVersion}`,
    );
  }
  const clusterId = idOf(metadata.get(names.cluster));
  const from = idOf(metadata.get(names.from));
  const to = idOf(metadata.get(names.to));
  const lane = metadata.get(names.lane);
  if (clusterId === undefined || from === undefined || to === undefined || from === 0n) {
    return refusal('malformed', 'the introduction lacks ids');
  }
  if (lane !== 'urgent' && lane !== 'bulk') return refusal('malformed', `there is no lane ${quoted(lane)}`);
  const urls = metadata.getAllBinary(names.urls);
  if (urls.length > urlsMax || urls.some(({ length }) => length > urlBytesMax)) {
    return refusal('malformed', 'the introduction has too many or too long URLs');
  }
  return { clusterId, from, to, lane, peerUrls: urls.map((url) => Buffer.from(url).toString('utf8')) };
}

const codes: Readonly<Record<RefusalCause, GrpcStatus>> = {
  protocol: GrpcStatus.FailedPrecondition,
  cluster: GrpcStatus.FailedPrecondition,
  receiver: GrpcStatus.FailedPrecondition,
  'own-id': GrpcStatus.FailedPrecondition,
  twin: GrpcStatus.FailedPrecondition,
  contested: GrpcStatus.Unavailable,
  removed: GrpcStatus.PermissionDenied,
  starting: GrpcStatus.Unavailable,
  unknown: GrpcStatus.FailedPrecondition,
  malformed: GrpcStatus.InvalidArgument,
};

export function refusal(cause: RefusalCause, message: string): Refusal {
  return { cause, code: codes[cause], message };
}

/** Whether the next attempt may succeed although nobody does anything: such a refusal is not worth a line. */
export function isPassing(cause: RefusalCause): boolean {
  return cause === 'starting' || cause === 'contested';
}

export function isRefusal(value: Introduction | Refusal): value is Refusal {
  return 'cause' in value;
}

/** What a call that is refused ends with, for programs. */
export function refusalTrailers(cause: RefusalCause): MetadataEntries {
  return { [names.refusal]: cause };
}

/** Why the other side refused a call; undefined when it ended for another reason. */
export function refusalCauseOf(trailers: IncomingMetadata | undefined): RefusalCause | undefined {
  const cause = trailers?.get(names.refusal);
  return cause !== undefined && Object.hasOwn(codes, cause) ? (cause as RefusalCause) : undefined;
}

/** Who answers on a stream: the first message of every answer. */
export interface Greeting {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
}

export function encodeGreeting({ clusterId, memberId }: Greeting): Uint8Array {
  const writer = new FieldWriter(17);
  writer.byte(protocolVersion);
  writer.uint64(clusterId);
  writer.uint64(memberId);
  return writer.written;
}

/** @throws MalformedMessageError */
export function decodeGreeting(bytes: Uint8Array): Greeting {
  const cursor = new FieldCursor(bytes);
  const version = cursor.byte();
  if (version !== protocolVersion) {
    throw new MalformedMessageError(
      `the peer answers in version ${version}, this member speaks ${protocolVersion}`,
    );
  }
  const greeting = { clusterId: cursor.uint64(), memberId: cursor.uint64() };
  cursor.finish();
  return greeting;
}

function idOf(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

function quoted(text: string | undefined): string {
  return text === undefined ? 'none' : JSON.stringify(text.slice(0, 64));
}
