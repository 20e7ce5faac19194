import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/**
 * A network namespace of the kernel. It has no name that could outlive this process: a `cat` that reads from us holds it,
 * so that it is gone, with its interfaces, when we are.
 */
export class Namespace {
  private constructor(private readonly holder: ChildProcess) {}

  /** @throws Error when this is not permitted here. */
  static async create(): Promise<Namespace> {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo made; exec cat'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let complaints = '';
    holder.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')));
    const made = once(holder.stdout, 'data').then(() => true);
    const ended = once(holder, 'close').then(() => false);
    if (!(await Promise.race([made, ended]))) throw new Error(`no network namespace: ${complaints}`);
    return new Namespace(holder);
  }

  get pid(): number {
    return this.holder.pid!;
  }

  /** The command in front of a process that shall be in it; it keeps its process id. */
  get wrapper(): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--'];
  }

  /** Runs commands of `ip` in it. @throws Error with its complaints when one fails. */
  ip(...lines: readonly string[]): void {
    const [command, ...args] = this.wrapper;
    batch(command, [...args, 'ip', '-batch', '-'], lines);
  }

  /** It ends with the last process in it. */
  async close(): Promise<void> {
    const ended = once(this.holder, 'close');
    this.holder.stdin!.end();
    await ended;
  }
}

/** Runs commands of `ip` where we are. */
export function ipHere(...lines: readonly string[]): void {
  batch('ip', ['-batch', '-'], lines);
}

function batch(command: string, args: readonly string[], lines: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`ip ${lines.join('; ')}: ${error?.message ?? stderr}`);
}
