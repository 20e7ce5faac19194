import { joinPath, type Disk } from '../platform/disk.js';
import { MalformedFieldError } from '../platform/fields.js';
import { readSegmentHead, type SegmentHead } from './payload.js';
import {
  headerBytes,
  readChecksum,
  readHeader,
  recordBytes,
  RecordType,
  walFormat,
  type RecordBytes,
  type RecordHeader,
} from './record.js';
import { claimsToBeSegment, parseSegmentName, temporarySuffix, type SegmentName } from './segment-name.js';
import { type WalMetadata } from './state.js';
import { WalCorruptionError, WalError } from './wal-error.js';

/** A head with 4 lists of 1,024 members fits. */
const headBytesMax = 64 * 1024;
const readBytes = 4 * 1024 * 1024;
/** Offsets in records have 32 bits. */
const segmentBytesMax = 2 ** 32 - 8;

/** A segment whose head was read and compared with its name and owner. */
export interface SegmentFile {
  readonly name: SegmentName;
  readonly path: string;
  readonly header: RecordHeader;
  readonly head: SegmentHead;
}

/**
 * The segments of a directory in order. Removes what an earlier run left half prepared.
 *
 * @throws WalError when the files are not exactly what a log of this owner consists of.
 */
export async function openSegments(
  disk: Disk,
  directory: string,
  owner: WalMetadata,
): Promise<SegmentFile[]> {
  const names: SegmentName[] = [];
  for (const name of await disk.list(directory)) {
    const parsed = parseSegmentName(name);
    if (parsed !== undefined) {
      names.push(parsed);
    } else if (claimsToBeSegment(name)) {
      const reason = 'its name is not one that a log has';
      throw new WalError(
        'unknown file',
        `${joinPath(directory, name)} cannot be part of the log: ${reason}. Move it away.`,
      );
    } else if (name.endsWith(temporarySuffix)) {
      await disk.remove(joinPath(directory, name));
    }
  }
  names.sort((a, b) => a.sequence - b.sequence);
  checkSequence(directory, names);
  const segments: SegmentFile[] = [];
  for (const name of names) segments.push(await openSegment(disk, directory, name, owner));
  return segments;
}

function checkSequence(directory: string, names: readonly SegmentName[]): void {
  for (let i = 1; i < names.length; i++) {
    const [before, name] = [names[i - 1]!, names[i]!];
    if (name.sequence === before.sequence) {
      throw new WalError(
        'duplicate segment',
        `${directory} holds segment ${name.sequence} twice: ${before.name} and ${name.name}. One is a copy that was put there by hand; move it away.`,
      );
    }
    if (name.sequence !== before.sequence + 1) {
      throw new WalError(
        'missing segment',
        `${directory} has no segment between ${before.name} and ${name.name}. Put the missing files back; if they are lost, remove ` +
          'this member from the cluster and add it again with an empty data directory.',
      );
    }
  }
}

async function openSegment(
  disk: Disk,
  directory: string,
  name: SegmentName,
  owner: WalMetadata,
): Promise<SegmentFile> {
  const path = joinPath(directory, name.name);
  const source = recordBytes(await readFile(disk, path, headBytesMax));
  const damaged = (reason: string): WalCorruptionError =>
    new WalCorruptionError({ segment: path, offset: 0, lsn: 0, index: 0 }, reason);
  const header = readHeader(source, 0);
  if (header === undefined) throw damaged('the head of the segment cannot be read');
  if (header.format > walFormat) throw newerFormat(path, header.format);
  if (header.format < 1 || header.type !== RecordType.segment || header.offset !== 0) {
    throw damaged('the file does not start with the head of a segment');
  }
  if (readChecksum(source, 0, header) === undefined) throw damaged('the checksum of the head is wrong');
  const head = decodeHead(source, header);
  if (head === undefined) throw damaged('the head of the segment does not follow its layout');
  if (header.segment !== name.sequence || head.firstIndex !== name.firstIndex) {
    throw new WalError(
      'renamed segment',
      `${path} holds segment ${header.segment} from index ${head.firstIndex} on. Give the file its own name back.`,
    );
  }
  checkOwner(path, head.metadata, owner);
  return { name, path, header, head };
}

function decodeHead(source: RecordBytes, header: RecordHeader): SegmentHead | undefined {
  try {
    const head = readSegmentHead(source, headerBytes, header.payloadLength);
    return head.contentLsn >= header.lsn && head.firstIndex >= 1 ? head : undefined;
  } catch (error) {
    if (error instanceof MalformedFieldError) return undefined;
    throw error;
  }
}

/** @throws WalError `foreign` when a file belongs to another cluster or member. */
export function checkOwner(path: string, found: WalMetadata, owner: WalMetadata): void {
  if (found.clusterId === owner.clusterId && found.memberId === owner.memberId) return;
  const text = (ids: WalMetadata): string =>
    `member ${ids.memberId.toString(16)} of cluster ${ids.clusterId.toString(16)}`;
  throw new WalError(
    'foreign',
    `${path} was written by ${text(found)}, but this is ${text(owner)}. Start with the data directory of this member, or with the ` +
      'options that the data directory was created with.',
  );
}

/** The error for a file of a later release. */
export function newerFormat(path: string, format: number): WalError {
  return new WalError(
    'newer format',
    `${path} has format ${format}; this release reads formats up to ${walFormat}. Start the release that wrote it, or a later one.`,
  );
}

/** Reads a file of bounded size, or its first `bytesMax` bytes. */
export async function readFile(disk: Disk, path: string, bytesMax?: number): Promise<Uint8Array> {
  const file = await disk.open(path, 'read');
  try {
    const size = await file.size();
    if (size > segmentBytesMax) {
      throw new WalError(
        'unknown file',
        `${path} has ${size} bytes, more than any segment. Move it away if it is not part of the log.`,
      );
    }
    const content = new Uint8Array(Math.min(size, bytesMax ?? size));
    let at = 0;
    while (at < content.length) {
      const part = await file.read(at, Math.min(readBytes, content.length - at));
      if (part.length === 0) break;
      content.set(part, at);
      at += part.length;
    }
    return at === content.length ? content : content.subarray(0, at);
  } finally {
    await file.close();
  }
}
