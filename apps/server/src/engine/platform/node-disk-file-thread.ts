import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { parentPath, type OpenMode } from './disk.js';
import { errorCode, readFully, writeFully } from './node-disk-io.js';

/**
 * The file thread of a `NodeDisk`: everything but log appends, one call at a time, in order. Long calls (the sync of a
 * snapshot) delay only each other.
 */
export type FileCall =
  | { readonly operation: 'list' | 'make directory' | 'remove' | 'sync directory'; readonly path: string }
  | { readonly operation: 'open'; readonly path: string; readonly mode: OpenMode }
  | { readonly operation: 'rename'; readonly path: string; readonly to: string }
  | { readonly operation: 'size' | 'sync' | 'close'; readonly fd: number }
  | {
      readonly operation: 'read' | 'fill';
      readonly fd: number;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly operation: 'write'; readonly fd: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly operation: 'truncate'; readonly fd: number; readonly offset: number };

export type FileResult = void | number | readonly string[] | Uint8Array;

export interface FileRequest {
  readonly id: number;
  readonly call: FileCall;
}

export interface FileReply {
  readonly id: number;
  readonly result: FileResult;
  /** Name of the errno when the call failed, and where. */
  readonly code: string | undefined;
  readonly failedAt: number | undefined;
}

const flags = { create: 'wx+', edit: 'r+', read: 'r' } as const;
const zeros = new Uint8Array(1024 * 1024);

/** A failure with its place in the file. */
class PlacedError extends Error {
  constructor(
    readonly code: string,
    readonly position: number,
  ) {
    super(code);
  }
}

function writeAll(fd: number, bytes: Uint8Array, length: number, position: number): void {
  const failure = writeFully(
    (from, at, count, place) => writeSync(fd, from, at, count, place),
    bytes,
    length,
    position,
  );
  if (failure !== undefined) throw new PlacedError(errorCode(failure.error), failure.position);
}

function fill(fd: number, offset: number, length: number): void {
  for (let done = 0; done < length; done += zeros.length) {
    writeAll(fd, zeros, Math.min(zeros.length, length - done), offset + done);
  }
}

function read(fd: number, offset: number, length: number): Uint8Array {
  const left = Math.max(0, fstatSync(fd).size - offset);
  const bytes = new Uint8Array(Math.min(length, left));
  const count = readFully((into, at, size, place) => readSync(fd, into, at, size, place), bytes, offset);
  return bytes.subarray(0, count);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some file systems make entries durable by themselves and refuse this call.
    if (errorCode(error) !== 'EINVAL' && errorCode(error) !== 'ENOTSUP') throw error;
  } finally {
    closeSync(fd);
  }
}

/** The entry of an existing directory may still be in memory only: whoever created it may have died before syncing. */
function makeDirectory(path: string): void {
  const created = mkdirSync(path, { recursive: true, mode: 0o700 }) ?? path;
  for (let at = path; ; at = parentPath(at)) {
    try {
      syncDirectory(parentPath(at));
    } catch (error) {
      // A parent that we may not read was not created by us.
      if (errorCode(error) !== 'EACCES') throw error;
    }
    if (at.length <= created.length || at === '/' || at === '.') break;
  }
}

function perform(call: FileCall): FileResult {
  switch (call.operation) {
    case 'list':
      return readdirSync(call.path).sort();
    case 'make directory':
      return makeDirectory(call.path);
    case 'remove':
      return unlinkSync(call.path);
    case 'sync directory':
      return syncDirectory(call.path);
    case 'open':
      return openSync(call.path, flags[call.mode], 0o600);
    case 'rename':
      return renameSync(call.path, call.to);
    case 'size':
      return fstatSync(call.fd).size;
    case 'sync':
      return fdatasyncSync(call.fd);
    case 'close':
      return closeSync(call.fd);
    case 'read':
      return read(call.fd, call.offset, call.length);
    case 'fill':
      return fill(call.fd, call.offset, call.length);
    case 'write':
      return writeAll(call.fd, call.bytes, call.bytes.length, call.offset);
    case 'truncate':
      return ftruncateSync(call.fd, call.offset);
  }
}

parentPort!.on('message', ({ id, call }: FileRequest) => {
  let reply: FileReply;
  try {
    reply = { id, result: perform(call), code: undefined, failedAt: undefined };
  } catch (error) {
    const failedAt = error instanceof PlacedError ? error.position : undefined;
    reply = { id, result: undefined, code: errorCode(error), failedAt };
  }
  const transfer = reply.result instanceof Uint8Array ? [reply.result.buffer as ArrayBuffer] : [];
  parentPort!.postMessage(reply, transfer);
});
