/**
 * Files of a log directory:
 *   `<sequence, 16 hex>-<first index, 16 hex>.wal`   a segment; sequences are consecutive from 1
 *   `<anything>.tmp`                                 being prepared; of no value after a restart
 *   `sync.mark`                                      how far the log is known to be durable, see `sync-mark.ts`
 */
export const syncMarkName = 'sync.mark';
export const temporarySuffix = '.tmp';
const segmentSuffix = '.wal';
const namePattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: number;
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, '0');
}

export function segmentName(sequence: number, firstIndex: number): string {
  return `${hex16(sequence)}-${hex16(firstIndex)}${segmentSuffix}`;
}

export function temporaryName(sequence: number): string {
  return `${hex16(sequence)}${temporarySuffix}`;
}

/** Undefined for a name that no segment has. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = namePattern.exec(name);
  if (match === null) return undefined;
  const sequence = Number.parseInt(match[1]!, 16);
  const firstIndex = Number.parseInt(match[2]!, 16);
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(firstIndex)) return undefined;
  return sequence >= 1 && firstIndex >= 1 ? { name, sequence, firstIndex } : undefined;
}

/** Whether the name claims to be a segment, rightly or not. */
export function claimsToBeSegment(name: string): boolean {
  return name.endsWith(segmentSuffix);
}
