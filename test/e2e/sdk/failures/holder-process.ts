import { type ChildProcess, spawn } from 'node:child_process';
import { repositoryRoot } from '../../../members/member-process.js';

/** What the process says: times are of the monotonic clock of the machine, in milliseconds. */
export interface HolderReport {
  readonly event: 'acquired' | 'held' | 'suspect' | 'lost' | 'looked';
  readonly at: number;
  readonly key?: string;
  readonly deadline?: number;
  readonly reason?: string;
  readonly isHeld?: boolean;
  /** Whether the signal had aborted before the first look at the clock. */
  readonly wasAborted?: boolean;
  /** The code with which a guarded transaction was refused, or `committed`. */
  readonly guarded?: string;
}

/** Acquires the lock, tells all that it is told, and looks when asked to, at once or after a computation. */
const program = `
  import { createClient } from '@conclave/client';
  import { writeSync } from 'node:fs';
  const now = () => Number(process.hrtime.bigint()) / 1e6;
  const offset = now() - performance.now();
  const say = (report) => writeSync(1, JSON.stringify({ at: now(), ...report }) + '\\n');
  const [url, name, ttl] = process.argv.slice(1);
  const client = createClient({ endpoints: [url], onWarning: () => undefined });
  const handle = await client.locks.mutex(name, { ttl }).acquire();
  say({ event: 'acquired', key: handle.key });
  handle.validity$.subscribe(({ kind, deadline, reason }) =>
    say({ event: kind, reason, deadline: deadline === undefined ? undefined : deadline + offset }));
  const look = async () => {
    const wasAborted = handle.signal.aborted;
    const isHeld = handle.isHeld();
    const at = now();
    const guarded = await handle.guardTxn((txn) => txn).then(() => 'committed', (error) => error.code);
    say({ event: 'looked', at, wasAborted, isHeld, guarded });
  };
  process.stdin.on('data', (bytes) => {
    const computeMs = Number(bytes);
    for (const end = now() + computeMs; now() < end; );
    void look();
  });
`;

/** The holder of a lock in a process of its own, which runs the built SDK. */
export class HolderProcess {
  readonly reports: HolderReport[] = [];
  private readonly waiting = new Set<() => void>();

  private constructor(private readonly child: ChildProcess) {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString('utf8')).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.reports.push(JSON.parse(line) as HolderReport);
      for (const look of this.waiting) look();
    });
  }

  static async start(url: string, name: string, ttl: string): Promise<HolderProcess> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, url, name, ttl], {
      cwd: repositoryRoot,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const holder = new HolderProcess(child);
    const ended = new Promise<never>((_, reject) => {
      child.once('exit', (code) => reject(new Error(`the holder ended with code ${code}`)));
    });
    ended.catch(() => undefined);
    await Promise.race([holder.report('acquired'), ended]);
    return holder;
  }

  /** The first report of this event, now or later. */
  report(event: HolderReport['event']): Promise<HolderReport> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.reports.find((report) => report.event === event);
        if (found === undefined) return;
        this.waiting.delete(look);
        resolve(found);
      };
      this.waiting.add(look);
      look();
    });
  }

  /** Until when it believes by its clock, as far as it has told. */
  get deadline(): number {
    return Math.max(...this.reports.map((report) => report.deadline ?? -Infinity));
  }

  /** Computes for so long without a turn of the event loop, and then looks, in the same turn. */
  look(computeMs = 0): void {
    this.child.stdin?.write(String(computeMs));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}
