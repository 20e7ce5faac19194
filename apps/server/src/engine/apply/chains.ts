import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { type Backend } from '../backend/backend.js';
import { BackendError } from '../backend/backend-error.js';
import { type Entry } from '../raft/message.js';
import { type ApplyResult } from './apply-result.js';
import { Chain } from './chain.js';

/** What the comparison with the other members said of this one. */
export type Integrity = 'sound' | 'results-differ' | 'log-differs';

/** The chains at an index. */
export interface ChainValues {
  readonly log: bigint;
  readonly results: bigint;
}

/**
 * How the chains are stored, in one row of table `meta`, written with each entry in the same applied boundary:
 *
 *     byte 0    format, 1
 *     byte 1    what the comparison said: 0 sound, 1 results differ, 2 log differs
 *     4 u32     both lanes of the log chain, both lanes of the result chain, big endian
 */
const key = 'chains';
const format = 1;
const rowBytes = 18;
const integrities: readonly Integrity[] = ['sound', 'results-differ', 'log-differs'];

/** How many of the last entries the chains are remembered for; a power of two. */
const rememberedEntries = 4_096;
/** Lanes of an entry in memory. */
const lanes = 4;

const noRow = new Uint8Array(0);
const scratch = Buffer.alloc(rowBytes);

/**
 * Two rolling checksums over everything that was applied: one of the entries (index, term, kind, data), one of their
 * results (index, revision, error, body). Members that hold the same log and apply it alike have the same chains at the
 * same index; once a chain differs it stays so, so that comparing a few indexes finds all that happened before.
 *
 * They are part of the applied state: they travel with a state from the leader, and a restart goes on where the store
 * was. What the comparison said of this member is kept beside them, so that a restart does not forget it.
 *
 * Invariant: the row equals the chains in memory at each applied boundary.
 */
export class Chains {
  private readonly log = new Chain();
  private readonly results = new Chain();
  private readonly indexes = new Float64Array(rememberedEntries);
  private readonly remembered = new Int32Array(lanes * rememberedEntries);
  private found: Integrity = 'sound';

  /** @throws BackendError when the row is damaged or of a newer format. */
  constructor(private readonly backend: Backend) {
    this.reload();
  }

  /** What the last comparison said; a state from the leader takes it back. */
  get integrity(): Integrity {
    return this.found;
  }

  /** Takes in an applied entry, whose boundary ends after this. */
  fold({ index, term, kind, data }: Entry, { error, revision, body }: ApplyResult): void {
    const { log, results } = this;
    log.number(index);
    log.number(term);
    log.word(kind === 'config' ? 1 : 0);
    log.word(crc32(data));
    results.number(index);
    results.number(revision);
    results.word(error === undefined ? 0 : crc32(`${error.code} ${error.message}`) | 1);
    results.word(body.length === 0 ? 0 : crc32(body));
    this.remember(index);
    this.write();
  }

  /** The chains behind the entry at `index`; undefined when that is not remembered, or not applied. */
  at(index: number): ChainValues | undefined {
    const slot = index & (rememberedEntries - 1);
    if (this.indexes[slot] !== index || index === 0) return undefined;
    const at = lanes * slot;
    const value = (lane: number): bigint => BigInt(this.remembered[at + lane] >>> 0);
    return { log: (value(0) << 32n) | value(1), results: (value(2) << 32n) | value(3) };
  }

  /** Notes what the comparison said of this member; durable with what is applied. */
  judge(integrity: Integrity): void {
    this.found = integrity;
    this.write();
  }

  /** Reads the row anew, whose state was replaced. @throws BackendError */
  reload(): void {
    const row = Buffer.from(this.backend.get('meta', key) ?? noRow);
    this.indexes.fill(0);
    if (row.length > 0 && row[0] > format) throw newerFormat(row[0]);
    if (row.length > 0 && (row.length !== rowBytes || row[0] !== format || row[1] >= integrities.length)) {
      throw new BackendError(
        'damaged-file',
        `The hash chains are stored in ${row.length} bytes that cannot be read.`,
      );
    }
    const at = (offset: number): number => (row.length === 0 ? 0 : row.readInt32BE(offset));
    this.found = integrities[row[1] ?? 0];
    this.log.set(at(2), at(6));
    this.results.set(at(10), at(14));
    this.remember(this.backend.applied.index);
  }

  private remember(index: number): void {
    const slot = index & (rememberedEntries - 1);
    const at = lanes * slot;
    this.indexes[slot] = index;
    this.remembered[at] = this.log.high;
    this.remembered[at + 1] = this.log.low;
    this.remembered[at + 2] = this.results.high;
    this.remembered[at + 3] = this.results.low;
  }

  private write(): void {
    scratch[0] = format;
    scratch[1] = integrities.indexOf(this.found);
    scratch.writeInt32BE(this.log.high, 2);
    scratch.writeInt32BE(this.log.low, 6);
    scratch.writeInt32BE(this.results.high, 10);
    scratch.writeInt32BE(this.results.low, 14);
    this.backend.put('meta', key, scratch);
  }
}

function newerFormat(found: number): BackendError {
  return new BackendError(
    'newer-format',
    `The hash chains are stored in format ${found}, but this version reads formats up to ${format}. ` +
      'Start the version that wrote them, or a newer one.',
  );
}
