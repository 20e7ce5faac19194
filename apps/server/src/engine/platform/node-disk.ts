import { Worker } from 'node:worker_threads';
import { assert } from './assert.js';
import {
  DiskError,
  type Disk,
  type DiskFile,
  type DiskOperation,
  type LogWriter,
  type LogWriterListener,
  type OpenMode,
} from './disk.js';
import { NodeFile } from './node-disk-file.js';
import { type FileCall, type FileReply, type FileRequest, type FileResult } from './node-disk-file-thread.js';
import { NodeLogWriter } from './node-disk-log-writer.js';
import { workerUrl } from './worker-url.js';

interface Waiting {
  readonly operation: DiskOperation;
  readonly path: string;
  readonly offset: number | undefined;
  resolve(result: FileResult): void;
  reject(error: DiskError): void;
}

/**
 * The disk of a real machine. Two threads do the work: the log thread writes and syncs appends, the file thread does
 * everything else, so that preparing a segment or syncing a snapshot never stands before an append, and neither depends on the runtime's
 * thread pool. The threads keep the process alive until `close`.
 */
export class NodeDisk implements Disk {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private thread: Worker | undefined;
  private log: NodeLogWriter | undefined;
  private closed = false;

  async list(directory: string): Promise<readonly string[]> {
    return (await this.call({ operation: 'list', path: directory }, directory)) as readonly string[];
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.call({ operation: 'make directory', path: directory }, directory);
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const fd = (await this.call({ operation: 'open', path, mode }, path)) as number;
    return new NodeFile(this, path, fd);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.call({ operation: 'rename', path: from, to }, from);
  }

  async remove(path: string): Promise<void> {
    await this.call({ operation: 'remove', path }, path);
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.call({ operation: 'sync directory', path: directory }, directory);
  }

  openLogWriter(listener: LogWriterListener): LogWriter {
    assert(!this.closed, 'the disk is open');
    assert(this.log === undefined || this.log.isClosed, 'one log writer is open at a time');
    this.log = new NodeLogWriter(listener);
    return this.log;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.log?.close();
    const { thread } = this;
    this.thread = undefined;
    await this.log?.ended;
    await thread?.terminate();
    this.abandon('ECANCELED');
  }

  /** One call on the file thread. `path` and the place are for the error. */
  call(call: FileCall, path: string): Promise<FileResult> {
    assert(!this.closed, 'the disk is open');
    const thread = (this.thread ??= this.start());
    const request: FileRequest = { id: ++this.lastId, call };
    const offset = 'offset' in call ? call.offset : undefined;
    return new Promise((resolve, reject) => {
      this.waiting.set(request.id, { operation: call.operation, path, offset, resolve, reject });
      thread.postMessage(request);
    });
  }

  private start(): Worker {
    const thread = new Worker(workerUrl(import.meta.url, './node-disk-file-thread.js'), {
      name: 'files',
      execArgv: [],
    });
    thread.on('message', (reply: FileReply) => this.settle(reply));
    thread.on('error', (error) => this.abandon('ETHREAD', error));
    thread.on('exit', () => this.abandon('ETHREAD'));
    return thread;
  }

  private settle({ id, result, code, failedAt }: FileReply): void {
    const waiting = this.waiting.get(id);
    assert(waiting !== undefined, 'every reply has a request');
    this.waiting.delete(id);
    if (code === undefined) waiting.resolve(result);
    else waiting.reject(new DiskError(waiting.operation, waiting.path, code, failedAt ?? waiting.offset));
  }

  /** The thread is gone: nobody knows what it did last. */
  private abandon(code: string, cause?: unknown): void {
    for (const { operation, path, offset, reject } of this.waiting.values()) {
      reject(new DiskError(operation, path, code, offset, { cause }));
    }
    this.waiting.clear();
  }
}
