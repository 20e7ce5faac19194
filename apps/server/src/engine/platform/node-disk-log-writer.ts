import { getSystemErrorName } from 'node:util';
import { Worker } from 'node:worker_threads';
import { assert } from './assert.js';
import { DiskError, type DiskFile, type LogBuffer, type LogWriter, type LogWriterListener } from './disk.js';
import { Command, createChannel, Double, Word, type BufferMessage } from './node-disk-channel.js';
import { NodeFile } from './node-disk-file.js';
import { workerUrl } from './worker-url.js';

/** `Atomics.waitAsync`, which the declared library does not know yet. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: boolean; readonly value: Promise<string> | string };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

interface SharedBuffer extends LogBuffer {
  readonly id: number;
}

/** The caller's side of the log thread. Costs per write: two Atomics, one promise. */
export class NodeLogWriter implements LogWriter {
  private readonly channel = createChannel();
  private readonly worker: Worker;
  private lastBuffer = 0;
  private requests = 0;
  private inFlight: NodeFile | undefined;
  private closed = false;
  private failed = false;
  private readonly replied = (): void => this.finish();
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;

  constructor(private readonly listener: LogWriterListener) {
    const url = workerUrl(import.meta.url, './node-disk-log-thread.js');
    this.worker = new Worker(url, { name: 'log', execArgv: [], workerData: this.channel.memory });
    this.ended = new Promise((resolve) => this.worker.once('exit', () => resolve()));
    this.worker.on('error', (error) => this.lost(error));
    this.worker.on('exit', () => this.lost(undefined));
  }

  get isClosed(): boolean {
    return this.closed;
  }

  allocate(bytes: number): LogBuffer {
    const memory = new SharedArrayBuffer(bytes);
    const buffer: SharedBuffer = { id: ++this.lastBuffer, bytes: new Uint8Array(memory) };
    this.post({ buffer: buffer.id, memory });
    return buffer;
  }

  release(buffer: LogBuffer): void {
    this.post({ buffer: (buffer as SharedBuffer).id, memory: undefined });
  }

  write(file: DiskFile, offset: number, buffer: LogBuffer, length: number, sync: boolean): void {
    assert(file instanceof NodeFile, 'the file was opened by this disk');
    assert(file.isOpen, 'the file is open');
    assert(this.inFlight === undefined, 'one write is in flight at a time');
    assert(!this.closed, 'the log writer is open');
    assert(length <= buffer.bytes.length, 'the write lies within its buffer');
    if (this.failed) return;
    this.inFlight = file;
    const { words, doubles } = this.channel;
    words[Word.fd] = file.fd;
    words[Word.buffer] = (buffer as SharedBuffer).id;
    words[Word.length] = length;
    doubles[Double.offset] = offset;
    // Before the thread is woken: it would meet this one at the lock that guards all waiting, and sleep once more.
    const waiting = waitAsync(words, Word.reply, this.requests);
    this.request(sync ? Command.writeAndSync : Command.write);
    const settled = waiting.async ? (waiting.value as Promise<string>) : Promise.resolve();
    void settled.then(this.replied);
  }

  close(): void {
    if (this.closed) return;
    assert(this.inFlight === undefined || this.failed, 'nothing is in flight');
    this.closed = true;
    this.request(Command.close);
  }

  private request(command: number): void {
    const { words } = this.channel;
    words[Word.command] = command;
    this.requests = (this.requests + 1) | 0;
    Atomics.store(words, Word.request, this.requests);
    Atomics.notify(words, Word.request);
  }

  private post(message: BufferMessage): void {
    this.worker.postMessage(message);
  }

  private finish(): void {
    const file = this.inFlight;
    if (file === undefined) return;
    const { words, doubles } = this.channel;
    assert(Atomics.load(words, Word.reply) === this.requests, 'the reply belongs to the last request');
    const step = words[Word.failed]!;
    if (step !== 0) {
      const code = getSystemErrorName(words[Word.errno]!);
      return this.fail(
        new DiskError(step === 1 ? 'write' : 'sync', file.path, code, doubles[Double.failedAt]!),
      );
    }
    this.inFlight = undefined;
    this.listener.onWritten(doubles[Double.writeMs]!, doubles[Double.syncMs]!);
  }

  private lost(cause: unknown): void {
    if (this.closed) return;
    this.fail(new DiskError('write', this.inFlight?.path ?? 'the log', 'ETHREAD', undefined, { cause }));
  }

  private fail(error: DiskError): void {
    if (this.failed) return;
    this.failed = true;
    this.inFlight = undefined;
    this.listener.onWriteFailed(error);
  }
}
