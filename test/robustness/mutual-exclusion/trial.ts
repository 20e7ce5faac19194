import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Chance } from '../../compat/chance.js';
import { postgresPrograms, PostgresServer } from '../../e2e/sdk/postgres-server.js';
import { hasProgram } from '../../members/member-process.js';
import { type Condition } from '../cluster/link.js';
import { TestedCluster } from '../cluster/tested-cluster.js';
import { delay, within } from '../traffic/within.js';
import { type Disturbance, firstWorkerLoses, ofMembers, ofWorkers, type Scene } from './disturbances.js';
import { type FaultSpan, type Trial } from './judge.js';
import { Ledger, type LedgerPlace } from './ledger.js';
import { monotonicMs } from './monotonic.js';
import { WorkerProcess } from './workforce.js';

export interface TrialOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly ttlMs: number;
  readonly workers: number;
  /** A bug of the test's own in the first worker, which the judge must find. */
  readonly planted?: 'gate' | 'belief';
  /** What every answer to the first worker is late by. */
  readonly answersLateMs?: number;
}

const { CONCLAVE_SQL } = process.env;
const hasPostgres = postgresPrograms !== undefined && hasProgram('psql');
/** PostgreSQL where it is installed, else SQLite, else none; CONCLAVE_SQL=sqlite chooses. */
export const dialect: LedgerPlace['dialect'] | undefined =
  hasPostgres && CONCLAVE_SQL !== 'sqlite' ? 'postgres' : hasProgram('sqlite3') ? 'sqlite' : undefined;

/**
 * A lease that was renewed just before its leader went away counts in full again under the next one, which takes up to 3 s to
 * be elected; leases are ended within 1 s; a client that lost its connection tries again within 1 s, and a member may need
 * 2 s for an answer.
 */
export function handOverBoundMs(ttlMs: number): number {
  return 2 * ttlMs + 3_000 + 1_000 + 1_000 + 2_000;
}

/** A cluster, a ledger and workers; everything ends with `end`. */
export class Laboratory {
  private readonly workers: WorkerProcess[] = [];
  private readonly faults: FaultSpan[] = [];
  private readonly chance: Chance;
  private readonly folder = mkdtempSync(join(tmpdir(), 'mutual-exclusion-'));
  private postgres: PostgresServer | undefined;
  private cluster!: TestedCluster;
  private ledger!: Ledger;

  private constructor(private readonly options: TrialOptions) {
    this.chance = new Chance(options.seed);
  }

  static async start(options: TrialOptions): Promise<Laboratory> {
    const laboratory = new Laboratory(options);
    try {
      await laboratory.setUp();
    } catch (error) {
      await laboratory.end();
      throw error;
    }
    return laboratory;
  }

  /** Disturbs for so long, mends everything, stops the workers and gives what there is to judge. */
  async run(): Promise<Trial> {
    const { seconds, ttlMs } = this.options;
    const { cluster, workers, chance } = this;
    const scene: Scene = { cluster, workers, chance, ttlMs };
    const end = monotonicMs() + seconds * 1_000;
    while (monotonicMs() < end) {
      await delay(300 + chance.below(2_000));
      await Promise.all(this.drawn().map((disturbance) => this.disturb(disturbance, scene)));
    }
    await delay(handOverBoundMs(ttlMs) / 4);
    await Promise.all(workers.map((worker) => within(worker.stop(), `the end of ${worker.name}`)));
    const [rows, counter] = [await this.ledger.rows(), await this.ledger.counter()];
    const lives = workers.flatMap((worker) => worker.lives());
    return { lives, faults: this.faults, rows, counter, handOverBoundMs: handOverBoundMs(ttlMs) };
  }

  /** How often each disturbance struck. */
  get strikes(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { name } of this.faults) counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts;
  }

  /** Errors that nobody caught, in workers and members: there should be none. */
  get complaints(): string[] {
    const outputs = this.workers.map(({ name, output }) => (output === '' ? '' : `${name}: ${output}`));
    return [...outputs.filter((text) => text !== ''), ...this.cluster.unexpectedEnds];
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.remove()));
    await this.ledger?.close();
    await this.cluster?.remove();
    await this.postgres?.end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async setUp(): Promise<void> {
    if (dialect === undefined) throw new Error('the ledger needs PostgreSQL (postgres and psql) or sqlite3');
    if (dialect === 'postgres') this.postgres = await PostgresServer.start();
    const place = { dialect, database: this.postgres?.folder ?? join(this.folder, 'ledger.db') };
    this.ledger = await Ledger.create(place);
    this.cluster = await TestedCluster.start('conclave', 3);
    for (let number = 1; number <= this.options.workers; number += 1) {
      this.workers.push(await this.worker(number, place));
    }
  }

  private worker(number: number, place: LedgerPlace): Promise<WorkerProcess> {
    const { seed, ttlMs, planted, answersLateMs } = this.options;
    const isPlanted = planted !== undefined && number === 1;
    const options = {
      ttlMs,
      seed: seed * 1_000 + number * 100,
      ledger: place,
      comparesTokens: !(isPlanted && planted === 'gate'),
      believesFromReceipt: isPlanted && planted === 'belief',
      dialTimeoutMs: 2_000 + 2 * (answersLateMs ?? 0),
      looksAtClock: isPlanted ? 0 : 0.5,
      longThoughts: isPlanted ? 1 : planted === undefined ? 0.05 : 0,
    };
    const wayBack: Condition =
      answersLateMs === undefined || number > 1 ? { kind: 'open' } : { kind: 'delayed', ms: answersLateMs };
    return WorkerProcess.start(`w${number}`, options, this.folder, this.cluster.members, wayBack);
  }

  /** Of workers, of members, or of both at once; for a planted bug what brings it out. */
  private drawn(): Disturbance[] {
    const { chance } = this;
    if (this.options.planted !== undefined) return [firstWorkerLoses];
    const kinds = chance.below(5);
    return [
      ...(kinds === 3 ? [] : [chance.pick(ofWorkers)]),
      ...(kinds >= 3 ? [chance.pick(ofMembers)] : []),
    ];
  }

  private async disturb(disturbance: Disturbance, scene: Scene): Promise<void> {
    const from = monotonicMs();
    await disturbance.strike(scene);
    this.faults.push({ name: disturbance.name, from, until: monotonicMs() });
  }
}
