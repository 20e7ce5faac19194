import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { monotonicMs, type Report, type StageMessage } from '../report.js';

const workerFile = fileURLToPath(new URL('../worker/main.js', import.meta.url));

/** The worker processes, by name. */
export class Troupe {
  private readonly children = new Map<string, ChildProcess>();

  constructor(
    private readonly endpoint: string,
    private readonly onReport: (worker: string, report: Report) => void,
  ) {}

  get names(): readonly string[] {
    return [...this.children.keys()];
  }

  /** Starts a worker; resolves with its pid when its Nest application runs. */
  async start(name: string): Promise<number> {
    const child = fork(workerFile, {
      env: { ...process.env, DEMO_ENDPOINT: this.endpoint, DEMO_WORKER: name },
    });
    this.children.set(name, child);
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code} before it ran`)));
    });
    child.on('message', (report: Report) => this.onReport(name, report));
    await ready;
    return child.pid ?? 0;
  }

  /** Kills a worker without warning; resolves with the time after which it does nothing more. */
  async kill(name: string): Promise<number> {
    const child = this.children.get(name);
    if (child === undefined) throw new Error(`there is no worker ${name}`);
    this.children.delete(name);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    return monotonicMs();
  }

  /** Asks all workers to end in good order and waits for them. */
  async stop(): Promise<void> {
    await Promise.all(
      [...this.children.values()].map(async (child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        const message: StageMessage = { kind: 'stop' };
        child.send(message);
        await ended;
      }),
    );
    this.children.clear();
  }
}
