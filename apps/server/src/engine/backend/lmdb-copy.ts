import { Worker } from 'node:worker_threads';
import { workerUrl } from '../platform/worker-url.js';
import { type StateCopy } from './backend.js';
import { BackendError } from './backend-error.js';
import { type CopyAnswer, type CopyThreadData } from './copy-message.js';

/**
 * Makes a state file of an LMDB file in a thread of its own, which ends with it.
 * @throws BackendError
 */
export function copyLmdb(data: CopyThreadData): Promise<StateCopy> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerUrl(import.meta.url, './lmdb-copy-worker.js'), {
      workerData: data,
      name: 'copy',
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 },
    });
    let answer: CopyAnswer | undefined;
    worker.once('message', (message: CopyAnswer) => (answer = message));
    worker.once('error', (cause) => reject(new BackendError('io', 'The copy thread failed.', { cause })));
    // Only when it has ended is nothing of it left that has the file open.
    worker.once('exit', () => {
      if (answer?.kind === 'copied') resolve({ mark: answer.mark, bytes: answer.bytes });
      else if (answer !== undefined) reject(new BackendError(answer.code, answer.message));
      else reject(new BackendError('io', 'The copy thread ended before it was done.'));
    });
  });
}
