import { type ConfigChange, type ConfigRef, type LockHandle } from '@conclave/client';
import {
  HeldLock,
  InjectConfig,
  LeaderCron,
  LeaderSignal,
  OnConfigChange,
  WithLock,
} from '@conclave/client/nest';
import { Injectable, Logger } from '@nestjs/common';
import { BillingConfig } from './billing.config.js';
import { Ledger } from './ledger.js';

@Injectable()
export class BillingService {
  private readonly logger = new Logger(BillingService.name);

  constructor(
    @InjectConfig(BillingConfig) private readonly config: ConfigRef<BillingConfig>,
    private readonly ledger: Ledger,
  ) {}

  /** One snapshot for the whole call: what is read before an `await` fits what is read after it. */
  retries(): number {
    return this.config.value.retryMax;
  }

  @OnConfigChange(BillingConfig, { keys: ['retryMax'] })
  retriesChanged({ previous, current, revision }: ConfigChange<BillingConfig>): void {
    this.logger.log(`retries: ${previous.retryMax} -> ${current.retryMax} (revision ${revision})`);
  }

  /** At most one instance pays this invoice at a time; the ledger refuses the write of one that lost the lock unnoticed. */
  @WithLock((invoice: string) => `invoice/${invoice}`, { wait: '5s' })
  async pay(invoice: string, @HeldLock() held?: LockHandle): Promise<bigint> {
    if (held === undefined) throw new Error('this method runs under its lock');
    held.assertHeld('1s');
    await this.ledger.write(invoice, held.fence());
    return held.token;
  }

  /** In one instance, every two seconds. */
  @LeaderCron('*/2 * * * * *', { election: 'billing-report', name: 'billing-report' })
  async report(@LeaderSignal() signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    this.logger.log(`${this.ledger.paid} invoices paid`);
    await Promise.resolve();
  }
}
