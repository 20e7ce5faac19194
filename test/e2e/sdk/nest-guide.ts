import 'reflect-metadata';
// --- import
import { type Leadership, type LockHandle } from '@conclave/client';
import {
  ConclaveModule,
  CronOnce,
  type Deposition,
  HeldLock,
  LeaderCron,
  LeaderGuard,
  LeaderOnly,
  LeaderSignal,
  OnDeposed,
  OnElected,
  StopSignal,
  WithLock,
} from '@conclave/client/nest';
// ---
import { Controller, Injectable, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';

const endpoint = process.env['CONCLAVE_ENDPOINT'] ?? 'http://127.0.0.1:2379';
const ownUrl = process.env['OWN_URL'] ?? 'http://127.0.0.1:3000';

/** Stands for the other side of a payment. */
export const ledger: string[] = [];

// --- lock
@Injectable()
export class Payments {
  @WithLock((id: string) => `invoice/${id}`, { ttl: '20s', wait: '5s' })
  async pay(id: string, @HeldLock() lock?: LockHandle): Promise<void> {
    lock?.assertHeld('1s'); // before each side effect
    await this.transfer(id, lock?.headers()); // the receiver refuses an older token
  }

  @WithLock('reconciliation', { onBusy: 'skip' })
  async reconcile(@StopSignal() stop?: AbortSignal): Promise<number | undefined> {
    let done = 0;
    while (done < 3 && !stop?.aborted) done += 1;
    return done;
  }
  // ---

  private async transfer(id: string, headers: Readonly<Record<string, string>> | undefined): Promise<void> {
    await Promise.resolve(ledger.push(`${id} with token ${headers?.['x-conclave-fencing-token']}`));
  }
}

// --- leader
@Injectable()
export class Indexer {
  @OnElected('indexer')
  async start(leadership: Leadership): Promise<void> {
    await leadership.guardTxn((txn) => txn); // commits only while it leads
  }

  @OnDeposed('indexer')
  stop(how: Deposition): void {
    if (how !== 'resigned') this.forgetEverything();
  }

  @LeaderOnly('indexer', { onFollower: 'throw' })
  async rebuild(@LeaderSignal() signal?: AbortSignal): Promise<string> {
    signal?.throwIfAborted();
    return Promise.resolve('rebuilt');
  }
  // ---

  private forgetEverything(): void {
    ledger.length = 0;
  }
}

// --- guard
@Controller('index')
@UseGuards(LeaderGuard('indexer', { redirectToLeader: true }))
export class IndexController {
  constructor(private readonly indexer: Indexer) {}

  @Post('rebuild')
  rebuild(): Promise<string> {
    return this.indexer.rebuild();
  }
}
// ---

// --- schedules
@Injectable()
export class Jobs {
  @LeaderCron('0 3 * * *', { election: 'indexer', name: 'vacuum', timeZone: 'Europe/Berlin' })
  async vacuum(@LeaderSignal() signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await Promise.resolve();
  }

  @CronOnce('*/5 * * * *', { name: 'statements', timeZone: 'UTC', ttl: '4m' })
  async statements(@StopSignal() stop?: AbortSignal): Promise<void> {
    stop?.throwIfAborted();
    await Promise.resolve();
  }
}
// ---

// --- module
@Module({
  imports: [
    ScheduleModule.forRoot(), // for @LeaderCron and @CronOnce
    ConclaveModule.forRoot({
      endpoints: [endpoint],
      elections: { advertiseUrl: ownUrl }, // where followers redirect to
      shutdown: { drain: '8s' },
    }),
  ],
  controllers: [IndexController],
  providers: [Payments, Indexer, Jobs],
})
export class AppModule {}
// ---

export async function main() {
  // --- main
  const app = await NestFactory.create(AppModule);
  app.enableShutdownHooks(); // without it a stop leaves everything taken until its TTL is over
  await app.listen(3000);
  // ---
  return app;
}
