import { type ChildProcess, spawn } from 'node:child_process';
import { repositoryRoot } from '../../members/member-process.js';

/** Acquires, says so, and then computes for ever, as a process does that will never answer again. */
const program = `
  import { createClient } from '@conclave/client';
  const client = createClient({ endpoints: [process.argv[1]] });
  const handle = await client.locks.mutex('m', { ttl: '2s' }).acquire();
  process.stdout.write(String(handle.token) + '\\n', () => { for (;;); });
`;

/** A process that holds the lock `m` and whose event loop is blocked. */
export class BlockedHolder {
  private constructor(
    private readonly child: ChildProcess,
    readonly token: bigint,
  ) {}

  static async start(url: string): Promise<BlockedHolder> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, url], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const token = await new Promise<bigint>((resolve, reject) => {
      child.stdout?.once('data', (chunk: Buffer) => resolve(BigInt(chunk.toString('utf8').trim())));
      child.once('exit', (code) => reject(new Error(`the holder ended with code ${code}`)));
    });
    return new BlockedHolder(child, token);
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}
