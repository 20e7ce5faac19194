import { type AppliedRelease, encodeInstance, instanceKey } from '@conclave/config-model';
import { pause } from '../cancellation.js';
import { type Backoff } from '../backoff.js';
import { asConclaveError } from '../error-mapping.js';
import { type Kv } from '../kv/kv.js';
import { type Lease } from '../lease/lease.js';
import { type Leases } from '../lease/leases.js';
import { type Clock } from '../runtime.js';
import { type ConfigSettings } from './config-options.js';
import { sdkVersion } from './sdk-version.js';

export interface ReportContext {
  readonly kv: Kv;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newBackoff: () => Backoff;
  readonly settings: ConfigSettings;
  /** What is applied now, by `app/namespace`. */
  readonly collect: () => ReadonlyMap<string, AppliedRelease>;
}

/** Changes of one moment are told in one write, spread over a second so that a fleet does not write at once. */
const leastDelayMs = 200;
const spreadMs = 800;

/**
 * Tells the store what this instance runs, at a key that lives as long as its lease. Reading configuration never waits for it.
 *
 * Invariant: one write is under way at most; what changes meanwhile is told by another one after it.
 */
export class InstanceReport {
  private readonly key: string;
  private readonly stopping = new AbortController();
  private lease: Lease | undefined;
  private told = '';
  private isDue = false;
  private isRunning = false;
  private hasWarned = false;

  constructor(private readonly context: ReportContext) {
    const { app, env, traits } = context.settings;
    this.key = instanceKey({ env, app, instance: traits.instanceId });
  }

  /** Something may have changed. */
  due(): void {
    this.isDue = true;
    if (this.isRunning || this.stopping.signal.aborted) return;
    this.isRunning = true;
    // Only the end of the report ends the attempts.
    this.run()
      .catch(() => undefined)
      .finally(() => {
        this.isRunning = false;
        if (this.isDue) this.due();
      });
  }

  /** Takes the key away. Never rejects. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.lease?.revoke();
  }

  private async run(): Promise<void> {
    const { clock, random } = this.context;
    const { signal } = this.stopping;
    const backoff = this.context.newBackoff();
    while (this.isDue) {
      await pause(clock, leastDelayMs + random() * spreadMs, signal);
      this.isDue = false;
      try {
        await this.tell();
        backoff.reset();
      } catch (error) {
        if (signal.aborted) throw error;
        const known = asConclaveError(error);
        this.isDue = true;
        if (!known.retryable && known.code !== 'maybe-applied' && known.code !== 'lease-not-found')
          this.warn(known.message);
        await pause(clock, 1_000 + backoff.next(), signal);
      }
    }
  }

  private async tell(): Promise<void> {
    const { kv, settings, collect } = this.context;
    const { labels, address } = settings.traits;
    const namespaces = collect();
    if (namespaces.size === 0) return;
    const row = encodeInstance({ sdk: sdkVersion, labels, address, namespaces });
    const lease = await this.leaseToUse();
    if (row === this.told) return;
    const { signal } = this.stopping;
    await kv.put(this.key, row, { lease: lease.id, signal });
    this.told = row;
  }

  private async leaseToUse(): Promise<Lease> {
    if (this.lease?.isAlive() === true) return this.lease;
    const lease = await this.context.leases.grant({ ttl: '15s', signal: this.stopping.signal });
    this.lease = lease;
    this.told = '';
    // A key that went with its lease is written again under another one.
    lease.signal.addEventListener('abort', () => this.due(), { once: true });
    if (this.stopping.signal.aborted) await lease.revoke();
    return lease;
  }

  private warn(message: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.context.settings.warn({
      code: 'report-failed',
      message: `the store is not told what this instance runs (${this.key}): ${message}; set config.report to false if it shall not be`,
    });
  }
}
