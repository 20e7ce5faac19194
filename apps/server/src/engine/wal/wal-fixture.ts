import { type Logger } from '../platform/logger.js';
import { ManualClock } from '../platform/manual-clock.js';
import { type Meter } from '../platform/meter.js';
import { type Random } from '../platform/random.js';
import { SimulatedDisk, type DiskEffect } from '../platform/simulated-disk.js';
import { type DiskModel } from '../platform/simulated-disk-model.js';
import { type Entry } from '../raft/message.js';
import { Wal } from './wal.js';
import { type WalOptions } from './wal-options.js';

/**
 * A log on a simulated disk, for tests. Effects take place in the order of their calls, each in a microtask of its own.
 */
export const fixtureMetadata = { clusterId: 0xc1n, memberId: 0xa1n };
export const fixtureDirectory = '/data/wal';

const instrument = { add: () => {}, set: () => {}, observe: () => {} };
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
export const silentMeter: Meter = {
  counter: () => instrument,
  gauge: () => instrument,
  histogram: () => instrument,
  observed: () => {},
  observedCounter: () => {},
};

/** A small generator with a good spread (mulberry32), for repeatable chance. */
export class SeededRandom implements Random {
  constructor(private state: number) {}

  below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }

  uint64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }

  private next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

export interface WalFixture {
  readonly disk: SimulatedDisk;
  readonly clock: ManualClock;
  /** Options of the log, for opening it with changes. */
  readonly options: WalOptions;
  open(changes?: Partial<WalOptions>): Promise<Wal>;
}

/** A disk with `model` as its content, and the options of a small log on it. */
export function walFixture(model?: DiskModel, seed = 1): WalFixture {
  const clock = new ManualClock();
  const schedule = (_effect: DiskEffect, callback: () => void): void => queueMicrotask(callback);
  const random = new SeededRandom(seed);
  const disk = new SimulatedDisk({ schedule, random, now: () => clock.now(), ...(model && { model }) });
  const options: WalOptions = {
    directory: fixtureDirectory,
    disk,
    clock,
    logger: silentLogger,
    meter: silentMeter,
    metadata: fixtureMetadata,
    create: true,
    segmentBytes: 16 * 1024,
    bufferBytes: 8 * 1024,
  };
  return { disk, clock, options, open: (changes) => Wal.open({ ...options, ...changes }) };
}

/** A normal entry whose data is derived from its index and term. */
export function fixtureEntry(index: number, term: number, bytes = 24): Entry {
  const data = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) data[i] = (index * 31 + term * 7 + i * 3 + 1) & 0xff || 1;
  return { index, term, kind: 'normal', data };
}

/** Consecutive entries. */
export function fixtureEntries(first: number, last: number, term: number, bytes?: number): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => fixtureEntry(first + i, term, bytes));
}

/** Appends and waits until it is done. */
export function appendNow(wal: Wal, entries: readonly Entry[], term = 1): Promise<void> {
  return new Promise((resolve) => {
    const hardState = { term, vote: 0n, commit: entries.at(-1)?.index ?? 0 };
    wal.append({ hardState, entries, mustSync: true }, resolve);
  });
}
