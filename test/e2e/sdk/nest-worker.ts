import 'reflect-metadata';
import { type Leadership, type LockHandle } from '@conclave/client';
import {
  ConclaveModule,
  CronOnce,
  type Deposition,
  HeldLock,
  LeaderCron,
  LeaderOnly,
  LeaderSignal,
  OnDeposed,
  OnElected,
  WithLock,
} from '@conclave/client/nest';
import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';

/** What a worker tells. `at`: milliseconds on the clock that all processes of the machine share. */
export type WorkerReport = { readonly at: number } & (
  | { readonly kind: 'elected'; readonly term: string }
  | { readonly kind: 'deposed'; readonly how: Deposition }
  | { readonly kind: 'leader-cron' | 'cron-once' | 'leading' | 'told-to-stop' }
  | { readonly kind: 'led'; readonly isHeld: boolean }
  | { readonly kind: 'locked'; readonly from: number; readonly token: string }
);

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

function tell(
  report: WorkerReport extends infer R ? (R extends unknown ? Omit<R, 'at'> : never) : never,
): void {
  process.send?.({ ...report, at: monotonicMs() });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How long the work of the leader takes to end once it is told to. */
const endMs = 300;

@Injectable()
class Work implements OnApplicationBootstrap {
  private leadership: Leadership | undefined;

  onApplicationBootstrap(): void {
    void this.lockForEver();
  }

  @OnElected('work')
  elected(leadership: Leadership): void {
    this.leadership = leadership;
    tell({ kind: 'elected', term: String(leadership.term) });
    void this.lead().catch(() => undefined);
  }

  @OnDeposed('work')
  deposed(how: Deposition): void {
    tell({ kind: 'deposed', how });
  }

  @LeaderOnly('work')
  async lead(@LeaderSignal() signal?: AbortSignal): Promise<void> {
    tell({ kind: 'leading' });
    await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    tell({ kind: 'told-to-stop' });
    await pause(endMs);
    tell({ kind: 'led', isHeld: this.leadership?.isHeld() ?? false });
  }

  @LeaderCron('* * * * * *', { election: 'work', name: 'leader-cron', timeZone: 'UTC' })
  async leaderCron(): Promise<void> {
    return Promise.resolve(tell({ kind: 'leader-cron' }));
  }

  @CronOnce('* * * * * *', { name: 'cron-once', timeZone: 'UTC' })
  async cronOnce(): Promise<void> {
    return Promise.resolve(tell({ kind: 'cron-once' }));
  }

  @WithLock('one-at-a-time')
  async locked(@HeldLock() handle?: LockHandle): Promise<void> {
    const from = monotonicMs();
    await pause(20);
    tell({ kind: 'locked', from, token: String(handle?.token) });
  }

  /** Until the application ends, which refuses it. */
  private async lockForEver(): Promise<void> {
    for (;;) {
      try {
        await this.locked();
      } catch {
        return;
      }
    }
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    ConclaveModule.forRoot({
      endpoints: [process.argv[2] ?? ''],
      elections: { ttl: '5s', advertiseUrl: `http://127.0.0.1:${process.pid}` },
    }),
  ],
  providers: [Work],
})
class WorkerModule {}

const application = await NestFactory.createApplicationContext(WorkerModule, { logger: ['error', 'warn'] });
application.enableShutdownHooks();
