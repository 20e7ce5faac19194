import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { type MemberProcess, repositoryRoot } from '../../members/member-process.js';
import { type Condition } from '../cluster/link.js';
import { ClientLine } from './client-line.js';
import { type WorkerLife } from './judge.js';
import { monotonicMs } from './monotonic.js';
import { type WorkerOptions } from './worker.js';
import { readWorkerLog } from './worker-log.js';

const program = join(repositoryRoot, 'test/dist/robustness/mutual-exclusion/worker.js');

/** A worker, through all its lives, with a line of its own to each member. */
export class WorkerProcess {
  private child: ChildProcess | undefined;
  private readonly logs: { readonly path: string; killedAt?: number }[] = [];
  private complaints = '';

  private constructor(
    readonly name: string,
    private readonly options: Omit<WorkerOptions, 'name' | 'endpoints' | 'log'>,
    private readonly folder: string,
    readonly lines: readonly ClientLine[],
    private readonly wayBack: Condition,
  ) {}

  static async start(
    name: string,
    options: Omit<WorkerOptions, 'name' | 'endpoints' | 'log'>,
    folder: string,
    members: readonly MemberProcess[],
    wayBack: Condition,
  ): Promise<WorkerProcess> {
    const lines = await Promise.all(members.map((member) => ClientLine.to(member.clientPort)));
    const worker = new WorkerProcess(name, options, folder, lines, wayBack);
    worker.heal();
    worker.live();
    return worker;
  }

  /** What its lives have printed: errors that nobody caught. */
  get output(): string {
    return this.complaints;
  }

  /** Both ways as they are when nothing is broken. */
  heal(): void {
    for (const line of this.lines) {
      line.toServer.heal();
      line.toClient.condition = this.wayBack;
    }
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** Ends it as a crash does, and starts the next life. */
  async restart(): Promise<void> {
    await this.end('SIGKILL');
    const life = this.logs.at(-1);
    if (life !== undefined) life.killedAt = monotonicMs();
    this.live();
  }

  /** Asks it to stop, and waits until it has given everything back. */
  async stop(): Promise<void> {
    this.thaw();
    await this.end('SIGTERM');
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await Promise.all(this.lines.map((line) => line.stop()));
  }

  /** By its own log; what the store says it may not know yet. */
  get saysThatItHolds(): boolean {
    const last = this.lives().at(-1)?.records.at(-1)?.kind;
    return last === 'granted' || last === 'believed';
  }

  lives(): WorkerLife[] {
    return this.logs.map(({ path, killedAt }) => ({
      name: this.name,
      records: readWorkerLog(path),
      ...(killedAt === undefined ? {} : { killedAt }),
    }));
  }

  private live(): void {
    const path = join(this.folder, `${this.name}-${this.logs.length + 1}.log`);
    const options: WorkerOptions = {
      ...this.options,
      name: this.name,
      seed: this.options.seed + this.logs.length,
      endpoints: this.lines.map((line) => line.url),
      log: path,
    };
    this.logs.push({ path });
    const child = spawn(process.execPath, [program, JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.complaints = (this.complaints + chunk.toString('utf8')).slice(-20_000);
    });
    this.child = child;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}
