import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

const environment = { ...process.env, ETCDCTL_API: '3' };

/** Runs one command to its end and gives its output. @throws Error with its complaints when it fails. */
export function etcdctl(address: string, ...args: readonly string[]): string {
  const result = spawnSync('etcdctl', [`--endpoints=${address}`, ...args], {
    env: environment,
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

/** A command that runs until it is ended, such as `lock NAME` and `elect NAME VALUE`. */
export class RunningEtcdctl {
  private readonly child: ChildProcess;
  private text = '';
  private readonly waiting = new Set<() => void>();

  constructor(address: string, ...args: readonly string[]) {
    this.child = spawn('etcdctl', [`--endpoints=${address}`, ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const read = (chunk: Buffer): void => {
      this.text += chunk.toString('utf8');
      for (const look of this.waiting) look();
    };
    this.child.stdout?.on('data', read);
    this.child.stderr?.on('data', read);
  }

  get output(): string {
    return this.text;
  }

  /** Resolves when the output has so many complete lines; with them. */
  lines(count: number): Promise<string[]> {
    return new Promise((resolve) => {
      const look = (): void => {
        const complete = this.text.split('\n').slice(0, -1);
        if (complete.length < count) return;
        this.waiting.delete(look);
        resolve(complete);
      };
      this.waiting.add(look);
      look();
    });
  }

  /** Interrupts it, as Ctrl-C does: it gives back what it holds. Resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await ended;
  }
}
