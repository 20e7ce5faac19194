import { getSystemErrorName } from 'node:util';
import { Worker } from 'node:worker_threads';
import { assert } from './assert.js';
import { DiskError, type DiskFile, type LogBuffer, type LogWriter, type LogWriterListener } from './disk.js';
import {
  Command,
  createChannel,
  Double,
  followsWithinMs,
  Word,
  type BufferMessage,
  type Channel,
} from './node-disk-channel.js';
import { NodeFile } from './node-disk-file.js';
import { workerUrl } from './worker-url.js';

/** `Atomics.waitAsync`, which the declared library does not know yet. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: boolean; readonly value: Promise<string> | string };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

/** Writes of up to so many bytes are polled for. */
const pollBytesMax = 1_024;
/** A reply that is noticed so much later than it is there tells that others need the processors ... */
const crowdedMs = 0.1;
/** ... when that happens to more than one write in nine for a while (a strike each, forgiven by so many good ones) ... */
const forgivingWrites = 8;
const strikesMax = 8;
/** ... and so many writes go without polling then. */
const restWrites = 256;

interface SharedBuffer extends LogBuffer {
  readonly id: number;
}

/** The caller's side of the log thread. Costs per write: two Atomics, and one promise or a few turns of the event loop. */
export class NodeLogWriter implements LogWriter {
  private readonly worker: Worker;
  private lastBuffer = 0;
  private requests = 0;
  private inFlight: NodeFile | undefined;
  private closed = false;
  private failed = false;
  /** When the last write was done, and how long the thread took for it. */
  private finishedAt = Number.NEGATIVE_INFINITY;
  private lastTookMs = Number.POSITIVE_INFINITY;
  private pollingSince = 0;
  private lagStrikes = 0;
  /** Writes that go without polling before it is tried again. */
  private restingWrites = 0;
  private readonly replied = (): void => this.woken();
  private readonly polled = (): void => this.poll();
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;

  constructor(
    private readonly listener: LogWriterListener,
    private readonly channel: Channel = createChannel(),
  ) {
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
    const command = sync ? Command.writeAndSync : Command.write;
    const now = performance.now();
    const polls = this.isWorthPolling(length, now);
    words[Word.stayAwake] = polls ? 1 : 0;
    if (polls) {
      this.pollingSince = now;
      this.request(command);
      setImmediate(this.polled);
      return;
    }
    // Before the thread is woken: it would meet this one at the lock that guards all waiting, and sleep once more.
    this.awaitReply();
    this.request(command);
  }

  close(): void {
    if (this.closed) return;
    assert(this.inFlight === undefined || this.failed, 'nothing is in flight');
    this.closed = true;
    this.request(Command.close);
  }

  /**
   * A small write right after another, on a disk that syncs fast, is what a few clients wait for one after the other:
   * turning the event loop until the reply is there, with the thread awake, takes less than waking each other. With
   * more to write, or with others in need of the processors, it would only take their time.
   */
  private isWorthPolling(length: number, now: number): boolean {
    if (length > pollBytesMax || this.lastTookMs > followsWithinMs || now - this.finishedAt > followsWithinMs)
      return false;
    if (this.restingWrites === 0) return true;
    this.restingWrites -= 1;
    return false;
  }

  private poll(): void {
    if (this.inFlight === undefined) return;
    if (Atomics.load(this.channel.words, Word.reply) === this.requests) return this.polledReply();
    if (performance.now() - this.pollingSince < followsWithinMs) setImmediate(this.polled);
    else this.awaitReply((this.requests - 1) | 0);
  }

  private polledReply(): void {
    const { doubles } = this.channel;
    const tookMs = doubles[Double.writeMs]! + doubles[Double.syncMs]!;
    this.noteLag(performance.now() - this.pollingSince - tookMs);
    this.finish();
  }

  private noteLag(lagMs: number): void {
    if (lagMs < crowdedMs) {
      if (this.lagStrikes > 0) this.lagStrikes -= 1;
      return;
    }
    this.lagStrikes += forgivingWrites;
    if (this.lagStrikes < strikesMax * forgivingWrites) return;
    this.lagStrikes = 0;
    this.restingWrites = restWrites;
  }

  /** Calls back when the reply is no longer the one to request `answered`. */
  private awaitReply(answered = this.requests): void {
    const waiting = waitAsync(this.channel.words, Word.reply, answered);
    const settled = waiting.async ? (waiting.value as Promise<string>) : Promise.resolve();
    void settled.then(this.replied);
  }

  /**
   * A wake-up is no reply yet: the thread raises `reply` and then wakes who waits, and when the reply was polled between
   * the two, the wake-up meets the wait for the next one.
   */
  private woken(): void {
    if (this.inFlight === undefined) return;
    if (Atomics.load(this.channel.words, Word.reply) === this.requests) this.finish();
    else this.awaitReply((this.requests - 1) | 0);
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
    const writeMs = doubles[Double.writeMs]!;
    const syncMs = doubles[Double.syncMs]!;
    this.lastTookMs = writeMs + syncMs;
    this.finishedAt = performance.now();
    this.listener.onWritten(writeMs, syncMs);
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
