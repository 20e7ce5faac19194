import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { hasProgram } from '../../members/member-process.js';
import { delay } from '../traffic/within.js';

/** A fault in the system calls that concern one file. */
export interface Injection {
  readonly path: string;
  readonly call: 'fdatasync' | 'pwrite64';
  /** What happens, in strace's words: `error=EIO`, `signal=KILL`. */
  readonly fault: string;
  /** Which of these calls it happens to, each thread counting for itself: `3` for the third only, `3+` from the third on. */
  readonly when: string;
}

/** Whether system calls can be traced and changed here: strace is there and tracing is allowed. */
export function canInject(): boolean {
  if (!hasProgram('strace')) return false;
  const args = ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', 'true'];
  return spawnSync('strace', args, { stdio: 'ignore' }).status === 0;
}

/** The command in front of the member's own. The tracer is no parent, so that signals and exit codes are the member's. */
export function tracing(log: string, { path, call, fault, when }: Injection): string[] {
  // Calls of no interest pass quickly with a filter in the kernel, but with it strace 6.1 sends no signals.
  const filter = fault.startsWith('signal') ? [] : ['--seccomp-bpf'];
  const calls = ['-P', path, '-e', 'trace=fdatasync,pwrite64'];
  return [
    'strace',
    '-D',
    '-f',
    ...filter,
    '-q',
    '-o',
    log,
    ...calls,
    '-e',
    `inject=${call}:${fault}:when=${when}`,
  ];
}

/** io_uring would pass by the tracer. */
export const tracedEnvironment = { UV_USE_IO_URING: '0' };

/** The calls on the file in order, complete: waits for the tracer's line on the end of the process. */
export async function tracedCalls(log: string, pid: number): Promise<string[]> {
  for (let tries = 0; tries < 500; tries++) {
    const text = existsSync(log) ? readFileSync(log, 'latin1') : '';
    const isComplete = new RegExp(`^${pid} .*\\+\\+\\+ (exited|killed)`, 'm').test(text);
    if (isComplete) return text.split('\n').filter((line) => /\b(fdatasync|pwrite64)\b/.test(line));
    await delay(10);
  }
  throw new Error(`the tracer did not tell the end of ${pid}`);
}
