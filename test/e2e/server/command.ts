import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly code: number | string;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Only a command that hangs ever runs this long; it is then ended, and its code is the signal's name. */
const patienceMs = 30_000;

/** Runs a command to its end, with the given standard input. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly input?: string | Buffer; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: patienceMs,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A command that does not read its input may end before all of it is written.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({
        code: code ?? signal ?? 'unknown',
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString('utf8'),
      }),
    );
  });
}

/** Runs etcdctl against one endpoint. */
export function runEtcdctl(address: string, args: readonly string[], input?: string): Promise<CommandResult> {
  return runCommand('etcdctl', [`--endpoints=${address}`, ...args], {
    input,
    environment: { ETCDCTL_API: '3' },
  });
}
