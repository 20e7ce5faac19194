import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** Only a failing test ever waits this long. */
const patienceMs = 30_000;

/** A command that runs until it is ended: a watch, a held lock, a streaming request. */
export class RunningCommand {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly closed: Promise<void>;
  private isClosed = false;
  private text = '';
  private readonly waiting = new Set<() => void>();

  constructor(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.child = spawn(command, args, { env: { ...process.env, ...environment } });
    const read = (chunk: Buffer): void => {
      this.text += chunk.toString('utf8');
      this.look();
    };
    this.child.stdout.on('data', read);
    this.child.stderr.on('data', read);
    this.child.stdin.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.child.once('close', () => {
        this.isClosed = true;
        this.look();
        resolve();
      });
    });
  }

  static etcdctl(address: string, ...args: readonly string[]): RunningCommand {
    return new RunningCommand('etcdctl', [`--endpoints=${address}`, ...args], { ETCDCTL_API: '3' });
  }

  /** Both outputs, as they came. */
  get output(): string {
    return this.text;
  }

  write(text: string): void {
    this.child.stdin.write(text);
  }

  /** Resolves with the first so many complete lines. @throws Error when it ends before, or after a bound. */
  async lines(count: number): Promise<string[]> {
    const complete = (): string[] => this.text.split('\n').slice(0, -1);
    await this.until(() => complete().length >= count);
    return complete().slice(0, count);
  }

  /** Resolves when the output contains the text. @throws Error when it ends without, or after a bound. */
  says(text: string): Promise<void> {
    return this.until(() => this.text.includes(text));
  }

  /** Resolves when it has ended by itself. */
  ended(): Promise<void> {
    return this.closed;
  }

  /** Sends a signal, and resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    this.child.kill(signal);
    await this.closed;
  }

  private look(): void {
    for (const look of this.waiting) look();
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (problem?: string): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
        if (problem === undefined) resolve();
        else reject(new Error(`${this.child.spawnargs.join(' ')} ${problem}:\n${this.text}`));
      };
      const look = (): void => {
        if (condition()) finish();
        else if (this.isClosed) finish('ended');
      };
      const timer = setTimeout(() => finish('did not say what was expected'), patienceMs);
      this.waiting.add(look);
      look();
    });
  }
}
