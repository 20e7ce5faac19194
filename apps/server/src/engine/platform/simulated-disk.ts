import { assert } from './assert.js';
import {
  DiskError,
  parentPath,
  type Disk,
  type DiskFile,
  type DiskOperation,
  type LogBuffer,
  type LogWriter,
  type LogWriterListener,
  type OpenMode,
} from './disk.js';
import { type Random } from './random.js';
import { DiskModel } from './simulated-disk-model.js';
import { type SimulatedInode } from './simulated-disk-inode.js';

/** One step of a disk. A crash may come before any of them. */
export interface DiskEffect {
  /** Counts from 1. */
  readonly number: number;
  readonly operation: DiskOperation;
  readonly path: string;
  readonly offset: number | undefined;
  readonly length: number | undefined;
}

/**
 * What goes wrong with an effect. `error`: it fails with this code; a failed sync loses data silently, a failed write or fill has
 * taken place in part. `short`: a write is interrupted after `bytes` and takes two effects. `flip`: one bit of what is
 * read is wrong; the stored bytes are not.
 */
export type DiskFault =
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'flip'; readonly offset: number; readonly bit: number };

export interface SimulatedDiskOptions {
  /** Calls back once, later: when the effect takes place. Effects of one file are scheduled one after the other. */
  readonly schedule: (effect: DiskEffect, callback: () => void) => void;
  readonly random: Random;
  /** Milliseconds, for the times that a log writer reports. */
  readonly now?: () => number;
  /** The files to start with: an empty disk when not given. */
  readonly model?: DiskModel;
  /** Bytes that all files together may have. */
  readonly capacityBytes?: number;
}

/**
 * A disk in memory that behaves as badly as a real one may: see `Disk` for what a crash can do. Everything is deterministic, given the
 * scheduler and the source of chance.
 */
export class SimulatedDisk implements Disk {
  /** Called before each effect takes place; may call `crash`. */
  onEffect: ((effect: DiskEffect) => void) | undefined;
  /** Asked before each effect takes place. */
  faultOf: ((effect: DiskEffect) => DiskFault | undefined) | undefined;
  capacityBytes: number;
  readonly model: DiskModel;
  private effects = 0;
  private halted = false;
  /** Per file or directory: effects that wait for the one that was scheduled. */
  private readonly lanes = new Map<unknown, (() => void)[]>();

  constructor(private readonly options: SimulatedDiskOptions) {
    this.model = options.model ?? new DiskModel();
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** From now on nothing takes place, and nobody hears anything. `model` stays as it is. */
  crash(): void {
    this.halted = true;
  }

  list(directory: string): Promise<readonly string[]> {
    return this.promise('list', directory, directory, () => this.model.list(directory));
  }

  makeDirectory(directory: string): Promise<void> {
    return this.promise('make directory', directory, directory, () => this.model.makeDirectory(directory));
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.promise('open', path, parentPath(path), () => {
      const inode = mode === 'create' ? this.model.create(path) : this.model.find(path, 'open');
      return new SimulatedFile(this, path, inode);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.promise('rename', from, parentPath(from), () => this.model.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.promise('remove', path, parentPath(path), () => this.model.remove(path));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.promise('sync directory', directory, directory, () => this.model.syncDirectory(directory));
  }

  openLogWriter(listener: LogWriterListener): LogWriter {
    return new SimulatedLogWriter(this, listener, this.options.now ?? (() => 0));
  }

  async close(): Promise<void> {}

  /** One effect as a promise. `lane` names what it is ordered with. */
  promise<T>(operation: DiskOperation, path: string, lane: unknown, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.perform({ operation, path, lane, run: () => run() }, resolve, reject);
    });
  }

  /** Queues one effect. Exactly one of the callbacks comes, unless the disk crashes before. */
  perform<T>(step: Step<T>, succeeded: (result: T) => void, failed: (error: DiskError) => void): void {
    const start = (): void => {
      const { operation, path, offset, length } = step;
      const effect = { number: ++this.effects, operation, path, offset, length };
      this.options.schedule(effect, () => {
        if (this.halted) return;
        this.onEffect?.(effect);
        if (this.halted) return;
        const outcome = this.attempt(effect, step);
        this.next(step.lane);
        if ('error' in outcome) failed(outcome.error);
        else succeeded(outcome.result);
      });
    };
    const lane = this.lanes.get(step.lane);
    if (lane === undefined) {
      this.lanes.set(step.lane, []);
      start();
    } else {
      lane.push(start);
    }
  }

  /** Bytes that files may still grow. */
  get freeBytes(): number {
    const { capacityBytes } = this;
    // Used bytes are summed over all files: not with every write when nobody asked for a limit.
    return Number.isFinite(capacityBytes) ? capacityBytes - this.model.usedBytes : capacityBytes;
  }

  choose(options: number): number {
    return this.options.random.below(options);
  }

  private next(lane: unknown): void {
    const waiting = this.lanes.get(lane)!;
    const start = waiting.shift();
    if (start === undefined) this.lanes.delete(lane);
    else start();
  }

  private attempt<T>(effect: DiskEffect, step: Step<T>): { result: T } | { error: DiskError } {
    const fault = this.faultOf?.(effect);
    try {
      if (fault?.kind === 'error') {
        step.fail?.();
        throw new DiskError(effect.operation, effect.path, fault.code, effect.offset);
      }
      return { result: step.run(fault) };
    } catch (error) {
      if (error instanceof DiskError) return { error };
      throw error;
    }
  }
}

/** How one effect takes place, or fails. */
interface Step<T> {
  readonly operation: DiskOperation;
  readonly path: string;
  readonly lane: unknown;
  readonly offset?: number;
  readonly length?: number;
  run(fault: DiskFault | undefined): T;
  fail?(): void;
}

class SimulatedFile implements DiskFile {
  private closed = false;

  constructor(
    private readonly disk: SimulatedDisk,
    public path: string,
    readonly inode: SimulatedInode,
  ) {}

  size(): Promise<number> {
    return this.effect({ operation: 'size', run: () => this.inode.size });
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.effect({
      operation: 'read',
      offset,
      length,
      run: (fault) => {
        const bytes = this.inode.read(offset, length);
        if (fault?.kind === 'flip' && fault.offset < bytes.length) {
          bytes[fault.offset] = bytes[fault.offset]! ^ (1 << fault.bit);
        }
        return bytes;
      },
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    return new Promise((resolve, reject) => this.put('write', offset, copy, resolve, reject));
  }

  fill(offset: number, length: number): Promise<void> {
    const zeros = new Uint8Array(length);
    return new Promise((resolve, reject) => this.put('fill', offset, zeros, resolve, reject));
  }

  /** Writes `bytes`, in two effects when the first is cut short. */
  put(
    operation: 'write' | 'fill',
    offset: number,
    bytes: Uint8Array,
    done: () => void,
    failed: (error: DiskError) => void,
  ): void {
    const run = (fault: DiskFault | undefined): number => {
      const wanted = fault?.kind === 'short' ? Math.min(fault.bytes, bytes.length) : bytes.length;
      const fits = Math.min(wanted, Math.max(0, this.inode.size - offset) + Math.max(0, this.disk.freeBytes));
      if (fits > 0) this.inode.write(offset, bytes.subarray(0, fits));
      if (fits < wanted) throw new DiskError(operation, this.path, 'ENOSPC', offset + fits);
      return wanted;
    };
    const fail = (): void => {
      const part = this.disk.choose(bytes.length + 1);
      if (part > 0) this.inode.write(offset, bytes.subarray(0, part));
    };
    const step = { operation, path: this.path, lane: this.inode, offset, length: bytes.length, run, fail };
    const written = (count: number): void => {
      if (count === bytes.length) done();
      else this.put(operation, offset + count, bytes.subarray(count), done, failed);
    };
    this.perform(step, written, failed);
  }

  truncate(size: number): Promise<void> {
    return this.effect({ operation: 'truncate', offset: size, run: () => this.inode.truncate(size) });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => this.syncThen(resolve, reject));
  }

  syncThen(done: () => void, failed: (error: DiskError) => void): void {
    const fail = (): void => this.inode.failSync((options) => this.disk.choose(options));
    const run = (): void => this.inode.sync();
    this.perform({ operation: 'sync', path: this.path, lane: this.inode, run, fail }, done, failed);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private effect<T>(step: Omit<Step<T>, 'path' | 'lane'>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.perform({ ...step, path: this.path, lane: this.inode }, resolve, reject);
    });
  }

  private perform<T>(step: Step<T>, done: (result: T) => void, failed: (error: DiskError) => void): void {
    assert(!this.closed, `${this.path} is open`);
    this.disk.perform(step, done, failed);
  }
}

class SimulatedLogWriter implements LogWriter {
  private busy = false;

  constructor(
    private readonly disk: SimulatedDisk,
    private readonly listener: LogWriterListener,
    private readonly now: () => number,
  ) {}

  allocate(bytes: number): LogBuffer {
    return { bytes: new Uint8Array(bytes) };
  }

  release(_buffer: LogBuffer): void {}

  write(file: DiskFile, offset: number, buffer: LogBuffer, length: number, sync: boolean): void {
    assert(file instanceof SimulatedFile, 'the file was opened by this disk');
    assert(!this.busy, 'one write is in flight at a time');
    this.busy = true;
    const start = this.now();
    const failed = (error: DiskError): void => {
      this.busy = false;
      this.listener.onWriteFailed(error);
    };
    const done = (writtenAt: number): void => {
      this.busy = false;
      this.listener.onWritten(writtenAt - start, this.now() - writtenAt);
    };
    const written = (): void => {
      const writtenAt = this.now();
      if (sync) file.syncThen(() => done(writtenAt), failed);
      else done(writtenAt);
    };
    file.put('write', offset, buffer.bytes.subarray(0, length), written, failed);
  }

  close(): void {
    assert(!this.busy, 'nothing is in flight');
  }
}
