import { createClient, isConclaveError, type LockHandle } from '@conclave/client';
import { Chance } from '../../compat/chance.js';
import { delay } from '../traffic/within.js';
import { Ledger, type LedgerPlace } from './ledger.js';
import { monotonicMs, onMachineClock } from './monotonic.js';
import { WorkerLog } from './worker-log.js';

export interface WorkerOptions {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly ttlMs: number;
  readonly seed: number;
  readonly ledger: LedgerPlace;
  readonly log: string;
  /** False: the planted gate that does not compare tokens. */
  readonly comparesTokens: boolean;
  /** True: the planted wrapper that believes until the receipt of a keep-alive + TTL, whatever the handle says. */
  readonly believesFromReceipt: boolean;
  /** The part of the turns in which it thinks for up to three TTLs instead of a moment, and at least for one and a half. */
  readonly longThoughts: number;
  /** The part of the turns in which it asks its clock after thinking, as it should; in the others it relies on the gate alone. */
  readonly looksAtClock: number;
  readonly dialTimeoutMs: number;
}

/** One life of a worker: takes the lock, reads, thinks and writes, until it is told to stop. */
class Worker {
  private readonly log: WorkerLog;
  private readonly ledger: Ledger;
  private readonly chance: Chance;
  private isStopping = false;

  constructor(private readonly options: WorkerOptions) {
    this.log = new WorkerLog(options.log);
    this.ledger = Ledger.open(options.ledger, options.comparesTokens);
    this.chance = new Chance(options.seed);
  }

  stop(): void {
    this.isStopping = true;
  }

  async run(): Promise<void> {
    const client = createClient({
      endpoints: this.options.endpoints,
      retry: { max: '1s' },
      dialTimeout: this.options.dialTimeoutMs,
      onWarning: () => undefined,
    });
    const mutex = client.locks.mutex('ledger', { ttl: this.options.ttlMs, value: this.options.name });
    const stop = new AbortController();
    const stopping = setInterval(() => {
      if (this.isStopping) stop.abort();
    }, 100);
    while (!this.isStopping) {
      try {
        await this.turn(await mutex.acquire({ signal: stop.signal }));
      } catch (error) {
        if (!this.isStopping) this.log.write({ kind: 'failed', token: '0', text: String(error) });
      }
      await delay(this.chance.below(30));
    }
    clearInterval(stopping);
    await client.close({ drain: '2s' });
    await this.ledger.close();
    this.log.close();
  }

  private async turn(handle: LockHandle): Promise<void> {
    const token = String(handle.token);
    this.tellBelief(handle, token);
    try {
      const value = (await this.ledger.read(handle.fence())) + 1;
      await this.think(handle);
      await this.ledger.write(handle.fence(), value);
      this.log.write({ kind: 'accepted', token, value });
    } catch (error) {
      const kind = isConclaveError(error) && error.code === 'fenced-off' ? 'refused' : 'failed';
      this.log.write({ kind, token, text: String(error) });
    }
    this.log.write({ kind: 'releasing', token });
    await handle.release();
  }

  /** What it believes is written down at the moment when it is told. */
  private tellBelief(handle: LockHandle, token: string): void {
    const { believesFromReceipt, ttlMs } = this.options;
    this.log.write({ kind: 'granted', token });
    handle.validity$.subscribe((validity) => {
      if (believesFromReceipt) {
        if (validity.kind === 'held') {
          this.log.write({ kind: 'believed', token, deadline: monotonicMs() + ttlMs });
        }
        return;
      }
      if (validity.kind === 'lost') this.log.write({ kind: 'lost', token, text: validity.reason });
      else this.log.write({ kind: 'believed', token, deadline: onMachineClock(validity.deadline) });
    });
  }

  private async think(handle: LockHandle): Promise<void> {
    const { longThoughts, looksAtClock, ttlMs } = this.options;
    if (this.chance.chance(longThoughts)) {
      await delay(Math.floor(1.5 * ttlMs * (1 + this.chance.next())));
    } else {
      await delay(this.chance.below(100));
    }
    if (this.chance.chance(looksAtClock)) handle.assertHeld();
  }
}

const worker = new Worker(JSON.parse(process.argv[2] ?? '{}') as WorkerOptions);
process.on('SIGTERM', () => worker.stop());
await worker.run();
