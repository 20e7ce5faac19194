import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CancelledError, type ConclaveClient, type Election, type Leadership } from '@conclave/client';
import { type Subscription } from 'rxjs';
import { electionName, monotonicMs } from '../report.js';
import { CONCLAVE } from './conclave.module.js';
import { Reporter } from './reporter.service.js';

/** Campaigns until this worker leads, leads until it stops or loses its session, and campaigns again. */
@Injectable()
export class Campaigner implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private leadership: Leadership | undefined;
  private observing: Subscription | undefined;

  constructor(
    @Inject(CONCLAVE) private readonly client: ConclaveClient,
    @Inject(Reporter) private readonly reporter: Reporter,
  ) {}

  onApplicationBootstrap(): void {
    const election = this.client.elections.election(electionName, { ttl: '3s' });
    this.observing = election.observe().subscribe((leader) => {
      this.reporter.report({ kind: 'sees-leader', leader: leader?.text ?? 'nobody' });
    });
    this.run(election).catch((error: unknown) => {
      if (!(error instanceof CancelledError)) throw error;
    });
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    this.observing?.unsubscribe();
    await this.leadership?.resign();
  }

  private async run(election: Election): Promise<void> {
    const name = process.env['DEMO_WORKER'] ?? `pid ${process.pid}`;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.leadership = await election.campaign({ value: name, signal });
      const term = this.leadership.term.toString();
      this.reporter.report({ kind: 'leader', state: 'elected', term, at: monotonicMs() });
      await this.leadership.done;
      this.reporter.report({ kind: 'leader', state: 'deposed', term, at: monotonicMs() });
    }
  }
}
