import { Buffer } from 'node:buffer';
import { type Disk, DiskError, type DiskFile, joinPath } from '../platform/disk.js';
import { foreignFile } from './lmdb-error.js';

/**
 * The first page of an LMDB file and its twin, the second, little endian: a page header of 24 bytes and
 *
 *     24 magic be ef c0 de, u32   28 version 2, u32   48 page size, u32   144 last page, u64   152 transaction, u64
 */
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const PAGE_BYTES_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const HEADER_BYTES = 160;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
const FILL_BYTES = 1024 * 1024;

/**
 * Makes a file safe to be mapped, before LMDB does so.
 *
 * LMDB trusts that the file reaches to its last page: touching a mapped page beyond the end kills the process with
 * SIGBUS. A file may be shorter, since pages that are free are not always written, or because it was cut off. Either
 * way it is filled up with zeros: LMDB recognises such a page as damaged when it is needed, and reports that.
 *
 * @throws BackendError when it is no LMDB file; DiskError
 */
export async function prepareFile(disk: Pick<Disk, 'open'>, directory: string, name: string): Promise<void> {
  const path = joinPath(directory, name);
  let file: DiskFile;
  try {
    file = await disk.open(path, 'edit');
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return;
    throw error;
  }
  try {
    await fillUp(file);
  } finally {
    await file.close();
  }
}

async function fillUp(file: DiskFile): Promise<void> {
  const size = await file.size();
  // An empty file is what a crash right after creation leaves; LMDB starts it anew.
  if (size === 0) return;
  const first = await readHeader(file, 0);
  if (first === undefined) throw foreignFile(file.path);
  const second = await readHeader(file, first.pageBytes);
  const newest = second !== undefined && second.transaction > first.transaction ? second : first;
  const end = (newest.lastPage + 1) * newest.pageBytes;
  for (let at = size; at < end; at += FILL_BYTES) await file.fill(at, Math.min(FILL_BYTES, end - at));
}

interface Header {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: bigint;
}

async function readHeader(file: DiskFile, at: number): Promise<Header | undefined> {
  const bytes = Buffer.from(await file.read(at, HEADER_BYTES));
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(MAGIC_AT) !== MAGIC) return undefined;
  const pageBytes = bytes.readUInt32LE(PAGE_BYTES_AT);
  const lastPage = bytes.readBigUInt64LE(LAST_PAGE_AT);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return undefined;
  if (lastPage > BigInt(Math.floor(Number.MAX_SAFE_INTEGER / PAGE_BYTES_MAX))) return undefined;
  return { pageBytes, lastPage: Number(lastPage), transaction: bytes.readBigUInt64LE(TRANSACTION_AT) };
}
