import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CancelledError, type ConclaveClient } from '@conclave/client';
import { lockName, monotonicMs } from '../report.js';
import { CONCLAVE } from './conclave.module.js';
import { Reporter } from './reporter.service.js';

/** How long the lock is held: the work that only one worker may do at a time. */
const workMs = 350;

/** Takes the lock, works, gives it to the next one, and stands in line again. */
@Injectable()
export class LockRunner implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(CONCLAVE) private readonly client: ConclaveClient,
    @Inject(Reporter) private readonly reporter: Reporter,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run().catch((error: unknown) => {
      if (!(error instanceof CancelledError)) throw error;
    });
  }

  /** Gives the lock back before the client is closed. */
  onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    return this.running;
  }

  private async run(): Promise<void> {
    const mutex = this.client.locks.mutex(lockName, { ttl: '3s' });
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.reporter.report({ kind: 'lock', state: 'waiting' });
      const held = await mutex.acquire({ signal });
      const token = held.token.toString();
      this.reporter.report({ kind: 'lock', state: 'held', token, at: monotonicMs() });
      await pause(workMs);
      held.assertHeld();
      this.reporter.report({ kind: 'lock', state: 'released', token, at: monotonicMs() });
      await held.release();
    }
  }
}
