import { Worker } from 'node:worker_threads';
import { assert } from '../platform/assert.js';
import { workerUrl } from '../platform/worker-url.js';
import { type RedoChunk } from './redo-list.js';
import { type AppliedMark } from './backend.js';
import { BackendError } from './backend-error.js';
import { type FlushAnswer, type FlushRequest, type FlushThreadData } from './flush-message.js';
import { type FileFigures, type LmdbOptions } from './lmdb-tables.js';

export interface FlushListener {
  onFlushed(figures: FileFigures, milliseconds: number): void;
  /** The flush did not happen; the file is as it was before. */
  onFlushFailed(error: BackendError): void;
}

/**
 * The main thread's side of the flush thread. One flush is in progress at a time.
 *
 * A thread that ends without being asked to counts as a failed flush, also when none is in progress.
 */
export class FlushThread {
  private isBusy = false;
  private isClosing = false;
  private readonly ended: Promise<void>;

  private constructor(
    private readonly worker: Worker,
    private readonly listener: FlushListener,
  ) {
    this.ended = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('message', (answer: FlushAnswer) => this.receive(answer));
    worker.on('error', (error) => this.onThreadEnd(error));
    worker.on('exit', () => this.onThreadEnd(undefined));
    worker.unref();
  }

  /** @throws BackendError when the thread cannot open the file. */
  static async start(options: LmdbOptions, listener: FlushListener): Promise<FlushThread> {
    const workerData: FlushThreadData = options;
    const worker = new Worker(workerUrl(import.meta.url, './flush-worker.js'), {
      workerData,
      name: 'flush',
      execArgv: [],
      // The thread holds one generation's keys, about 100 bytes each.
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 1024 },
    });
    const first = await firstAnswer(worker);
    if (first.kind === 'failed') throw new BackendError(first.code, first.message);
    return new FlushThread(worker, listener);
  }

  flush(chunks: readonly RedoChunk[], mark: AppliedMark): void {
    assert(!this.isBusy, 'one flush is in progress at a time');
    assert(!this.isClosing, 'a closed flush thread gets no work');
    this.isBusy = true;
    // A flush in progress keeps the process alive, an idle thread does not.
    this.worker.ref();
    this.post({ kind: 'flush', chunks, mark });
  }

  /** Waits for the flush in progress, without reporting it, and ends the thread. */
  async close(): Promise<void> {
    if (!this.isClosing) {
      this.isClosing = true;
      this.worker.ref();
      this.post({ kind: 'close' });
    }
    await this.ended;
  }

  private post(request: FlushRequest): void {
    this.worker.postMessage(request);
  }

  private receive(answer: FlushAnswer): void {
    this.isBusy = false;
    if (this.isClosing) return;
    this.worker.unref();
    if (answer.kind === 'flushed') this.listener.onFlushed(answer.figures, answer.milliseconds);
    else if (answer.kind === 'failed')
      this.listener.onFlushFailed(new BackendError(answer.code, answer.message));
  }

  private onThreadEnd(cause: unknown): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.listener.onFlushFailed(new BackendError('io', 'The flush thread ended unexpectedly.', { cause }));
  }
}

function firstAnswer(worker: Worker): Promise<FlushAnswer> {
  return new Promise((resolve, reject) => {
    const onExit = (): void =>
      reject(new BackendError('io', 'The flush thread ended while it was starting.'));
    worker.once('error', reject);
    worker.once('exit', onExit);
    worker.once('message', (answer: FlushAnswer) => {
      worker.off('error', reject);
      worker.off('exit', onExit);
      resolve(answer);
    });
  });
}
