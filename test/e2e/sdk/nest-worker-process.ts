import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { ReplaySubject } from 'rxjs';
import { repositoryRoot } from '../../members/member-process.js';
import { type WorkerReport } from './nest-worker.js';

const program = join(repositoryRoot, 'test/dist/e2e/sdk/nest-worker.js');

/** A Nest application in a process of its own, and everything that it has told. */
export class NestWorkerProcess {
  readonly reports: WorkerReport[] = [];
  readonly reports$ = new ReplaySubject<WorkerReport>();
  private text = '';

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (report: WorkerReport) => {
      this.reports.push(report);
      this.reports$.next(report);
    });
    child.stdout?.on('data', (chunk: Buffer) => (this.text += chunk.toString('utf8')));
    child.stderr?.on('data', (chunk: Buffer) => (this.text += chunk.toString('utf8')));
  }

  static start(url: string): NestWorkerProcess {
    const child = spawn(process.execPath, [program, url], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    return new NestWorkerProcess(child);
  }

  /** What it logged. */
  get output(): string {
    return this.text;
  }

  count(kind: WorkerReport['kind']): number {
    return this.reports.filter((report) => report.kind === kind).length;
  }

  /** Resolves when it has told this so many times in all. */
  until(kind: WorkerReport['kind'], count = 1): Promise<WorkerReport> {
    return new Promise((resolve, reject) => {
      let seen = 0;
      const subscription = this.reports$.subscribe((report) => {
        if (report.kind !== kind || (seen += 1) < count) return;
        resolve(report);
        queueMicrotask(() => subscription.unsubscribe());
      });
      this.child.once('exit', () => reject(new Error(`the worker ended before '${kind}':\n${this.text}`)));
    });
  }

  /** Resolves when the process has ended, and with it everything that it told has arrived. */
  async end(signal: NodeJS.Signals): Promise<string> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return 'ended before';
    const ended = new Promise<string>((resolve) => {
      this.child.once('close', (code, by) => resolve(by ?? String(code)));
    });
    this.signal(signal);
    return ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}
