import { fdatasyncSync, writeSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  channelOn,
  Command,
  Double,
  followsWithinMs,
  Word,
  type BufferMessage,
} from './node-disk-channel.js';
import { errorNumber, writeFully } from './node-disk-io.js';

/**
 * The log thread of a `NodeDisk`. It does nothing but write and sync, synchronously, and sleeps between: neither name
 * lookups nor hashing on the runtime's thread pool, nor other files, stand before an append.
 */
const { words, doubles } = channelOn(workerData as SharedArrayBuffer);
const buffers = new Map<number, Uint8Array>();
/** Released buffers are let go after at most so many writes. */
const looksEvery = 256;
let servedSinceLook = 0;

function bufferOf(id: number): Uint8Array {
  // Buffers come and go seldom; asking the port costs more than the whole rest of a small write.
  if (++servedSinceLook < looksEvery) {
    const known = buffers.get(id);
    if (known !== undefined) return known;
  }
  servedSinceLook = 0;
  for (;;) {
    const received = receiveMessageOnPort(parentPort!) as { message: BufferMessage } | undefined;
    if (received === undefined) {
      const bytes = buffers.get(id);
      if (bytes !== undefined) return bytes;
      continue;
    }
    const { buffer, memory } = received.message;
    if (memory === undefined) buffers.delete(buffer);
    else buffers.set(buffer, new Uint8Array(memory));
  }
}

function fail(step: 1 | 2, error: unknown, position: number): void {
  words[Word.failed] = step;
  words[Word.errno] = errorNumber(error);
  doubles[Double.failedAt] = position;
}

function serve(command: number): void {
  const fd = words[Word.fd]!;
  const length = words[Word.length]!;
  const offset = doubles[Double.offset]!;
  words[Word.failed] = 0;
  const start = performance.now();
  if (length > 0) {
    const bytes = bufferOf(words[Word.buffer]!);
    const failure = writeFully(
      (from, at, count, position) => writeSync(fd, from, at, count, position),
      bytes,
      length,
      offset,
    );
    if (failure !== undefined) return fail(1, failure.error, failure.position);
  }
  const written = performance.now();
  doubles[Double.writeMs] = written - start;
  doubles[Double.syncMs] = 0;
  if (command !== Command.writeAndSync) return;
  try {
    fdatasyncSync(fd);
  } catch (error) {
    return fail(2, error, offset);
  }
  doubles[Double.syncMs] = performance.now() - written;
}

/** Waits for a request: awake for a moment where that is asked for, because waking a thread costs as much as a small write. */
function awaitRequest(served: number, repliedAt: number): void {
  if (words[Word.stayAwake] === 1) {
    const until = repliedAt + followsWithinMs;
    while (Atomics.load(words, Word.request) === served && performance.now() < until);
  }
  while (Atomics.load(words, Word.request) === served) Atomics.wait(words, Word.request, served);
}

for (let served = 0, repliedAt = 0; ;) {
  awaitRequest(served, repliedAt);
  served = (served + 1) | 0;
  const command = words[Word.command]!;
  if (command === Command.close) break;
  serve(command);
  repliedAt = performance.now();
  Atomics.store(words, Word.reply, served);
  Atomics.notify(words, Word.reply);
}
parentPort!.close();
