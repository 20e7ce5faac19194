/** The flush thread: writes one generation after the other, and does nothing else. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../platform/assert.js';
import { type FlushAnswer, type FlushRequest, type FlushThreadData } from './flush-message.js';
import { asBackendError } from './lmdb-error.js';
import { LmdbWriter } from './lmdb-writer.js';

assert(parentPort !== null, 'the flush thread is a thread');
const port = parentPort;
const data = workerData as FlushThreadData;

// Where all processors are busy, a flush is less urgent than answering. On Linux this is the priority of the thread;
// elsewhere it would be that of the process.
const NICENESS = 5;
if (process.platform === 'linux') setPriority(0, NICENESS);

function answer(message: FlushAnswer): void {
  port.postMessage(message);
}

function fail(error: unknown): void {
  const { code, message } = asBackendError(error, data.path);
  answer({ kind: 'failed', code, message });
}

function serve(writer: LmdbWriter, request: FlushRequest): void {
  switch (request.kind) {
    case 'flush': {
      const { chunks, mark } = request;
      const startedAt = performance.now();
      const figures = writer.write(chunks, mark);
      return answer({ kind: 'flushed', figures, milliseconds: performance.now() - startedAt });
    }
    case 'close':
      void writer.close().finally(() => port.close());
  }
}

try {
  const writer = new LmdbWriter(data);
  port.on('message', (request: FlushRequest) => {
    try {
      serve(writer, request);
    } catch (error) {
      fail(error);
    }
  });
  answer({ kind: 'opened' });
} catch (error) {
  fail(error);
}
