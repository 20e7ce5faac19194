/**
 * A copy thread: makes one state file of an LMDB file that is in use, and ends.
 *
 * LMDB copies what one read transaction sees, without free pages, while writing goes on; it takes no lock that a flush
 * waits for. Pages that are freed meanwhile are not used again before the copy is done, so the file in use may grow.
 */
import { accessSync, closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../platform/assert.js';
import { parentPath } from '../platform/disk.js';
import { beginDigest, encodeSeal, sealBytes, StateKind } from '../snapshot/state-seal.js';
import { type AppliedMark } from './backend.js';
import { type CopyAnswer, type CopyThreadData } from './copy-message.js';
import { asBackendError } from './lmdb-error.js';
import { LmdbReader } from './lmdb-reader.js';
import { type LmdbOptions, openTables } from './lmdb-tables.js';

assert(parentPort !== null, 'the copy thread is a thread');
const port = parentPort;
const PART_BYTES = 1024 * 1024;
const NICENESS = 5;
if (process.platform === 'linux') setPriority(0, NICENESS);

async function copy({ source, path }: CopyThreadData): Promise<CopyAnswer> {
  const temporary = `${path}.tmp`;
  // LMDB would make it.
  accessSync(parentPath(path));
  remove(temporary);
  try {
    const tables = openTables(source);
    try {
      await tables.root.backup(temporary, true);
    } finally {
      await tables.root.close();
    }
    const mark = await readMark({ path: temporary, mapBytes: source.mapBytes });
    const bytes = seal(temporary, mark);
    renameSync(temporary, path);
    syncDirectory(parentPath(path));
    return { kind: 'copied', mark, bytes };
  } catch (error) {
    remove(temporary);
    throw error;
  }
}

/** What the copy holds: a flush may have come between the request and the copy. */
async function readMark(options: LmdbOptions): Promise<AppliedMark> {
  const reader = LmdbReader.open(options);
  try {
    return reader.readMark();
  } finally {
    await reader.close();
    rmSync(`${options.path}-lock`, { force: true });
  }
}

/** Adds the seal, and makes the file durable. Returns the size of it all. */
function seal(path: string, mark: AppliedMark): number {
  const file = openSync(path, 'r+');
  try {
    const digest = beginDigest();
    const part = new Uint8Array(PART_BYTES);
    let contentBytes = 0;
    for (;;) {
      const count = readSync(file, part, 0, part.length, contentBytes);
      if (count === 0) break;
      digest.update(part.subarray(0, count));
      contentBytes += count;
    }
    const bytes = encodeSeal({ kind: StateKind.lmdb, mark, contentBytes }, digest);
    for (let done = 0; done < bytes.length;) {
      done += writeSync(file, bytes, done, bytes.length - done, contentBytes + done);
    }
    fsyncSync(file);
    return contentBytes + sealBytes;
  } finally {
    closeSync(file);
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function remove(temporary: string): void {
  rmSync(temporary, { force: true });
  rmSync(`${temporary}-lock`, { force: true });
}

const data = workerData as CopyThreadData;
copy(data)
  .catch((error: unknown): CopyAnswer => {
    const { code, message } = asBackendError(error, data.path);
    return { kind: 'failed', code, message };
  })
  .then(
    (answer) => port.postMessage(answer),
    (error: unknown) => {
      throw error;
    },
  );
