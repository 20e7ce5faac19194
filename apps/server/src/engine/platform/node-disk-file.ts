import { assert } from './assert.js';
import { type DiskFile } from './disk.js';
import { type FileCall, type FileResult } from './node-disk-file-thread.js';

/** Whoever passes calls to the file thread. */
export interface FileThread {
  call(call: FileCall, path: string): Promise<FileResult>;
}

/** A file by its descriptor, which all threads of the process share. */
export class NodeFile implements DiskFile {
  private closing: Promise<FileResult> | undefined;

  constructor(
    private readonly thread: FileThread,
    public path: string,
    readonly fd: number,
  ) {}

  async size(): Promise<number> {
    return (await this.call({ operation: 'size', fd: this.fd })) as number;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return (await this.call({ operation: 'read', fd: this.fd, offset, length })) as Uint8Array;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.call({ operation: 'write', fd: this.fd, offset, bytes });
  }

  async fill(offset: number, length: number): Promise<void> {
    await this.call({ operation: 'fill', fd: this.fd, offset, length });
  }

  async truncate(size: number): Promise<void> {
    await this.call({ operation: 'truncate', fd: this.fd, offset: size });
  }

  async sync(): Promise<void> {
    await this.call({ operation: 'sync', fd: this.fd });
  }

  async close(): Promise<void> {
    this.closing ??= this.thread.call({ operation: 'close', fd: this.fd }, this.path);
    await this.closing;
  }

  /** A descriptor is not used after its file was closed: the number may belong to another file. */
  get isOpen(): boolean {
    return this.closing === undefined;
  }

  private call(call: FileCall): Promise<FileResult> {
    assert(this.isOpen, `${this.path} is open`);
    return this.thread.call(call, this.path);
  }
}
