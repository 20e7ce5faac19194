import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

const STEP = new Uint8Array(1024 * 1024);
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * Whether `bytes` more can be written behind the end of a file. Only for the flush thread, between its transactions.
 *
 * LMDB reports a write that came out short as EIO, and a disk that is nearly full shortens a write before it refuses
 * one. So the same place is written again, until there is an answer. What lies behind the last page means nothing to
 * LMDB, and the next flush writes it over.
 */
export function canGrow(path: string, bytes: number): boolean {
  let file: number | undefined;
  try {
    file = openSync(path, 'r+');
    const start = fstatSync(file).size;
    for (let written = 0; written < bytes;) {
      written += writeSync(file, STEP, 0, Math.min(STEP.length, bytes - written), start + written);
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && NO_SPACE.has(String(error.code))) return false;
    throw error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
