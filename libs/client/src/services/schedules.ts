import { type Duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { segment } from '../concurrency/lock-names.js';
import { leaseTimes } from '../lease/leases.js';
import { type ServiceContext } from './context.js';
import { putOnce, randomName } from './own-put.js';

export interface OnceOptions {
  /**
   * How long the claim is remembered: longer than the clocks of the instances may differ, shorter than the time between two
   * runs. At least 2 s; default 1 minute.
   */
  readonly ttl?: Duration;
}

/** Schedules: one run per due time over all instances, whoever comes first. */
export class Schedules {
  private claims = 0;

  constructor(private readonly context: ServiceContext) {}

  /**
   * True for exactly one caller per name and due time, as long as the claim is remembered. Fails closed: it rejects when the
   * store does not answer, and then nobody may have the run.
   *
   * @throws InvalidArgumentError for an empty name or an invalid date; any ConclaveError of the store (rejects).
   */
  async claim(name: string, dueAt: Date, options: OnceOptions = {}): Promise<boolean> {
    const { kv, leases, host, random } = this.context;
    if (name === '')
      throw new InvalidArgumentError('schedule: the name is empty; it needs at least one character');
    if (Number.isNaN(dueAt.getTime()))
      throw new InvalidArgumentError(`schedule '${name}': dueAt is no valid date`);
    const { ttl = '1m' } = options;
    leaseTimes({ ttl });
    const key = `schedules/${segment(name)}/${dueAt.toISOString()}`;
    // Most instances come late: they need no lease to know it.
    if ((await kv.get(key)) !== null) return false;
    const lease = await leases.grantOnce(ttl);
    this.claims += 1;
    const value = JSON.stringify({ by: host.identity, claim: `${this.claims}-${randomName(random)}` });
    const outcome = await putOnce(this.context, { key, value, lease });
    if (outcome.kind === 'put') return true;
    await leases.revoke(lease).catch(() => undefined);
    return false;
  }
}
