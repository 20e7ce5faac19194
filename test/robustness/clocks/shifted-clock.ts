import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../../members/member-process.js';

const source = join(repositoryRoot, 'test/robustness/clocks/shifted-clock.c');

/** Built once for all processes, and again when its source is newer. */
const built = join(repositoryRoot, 'test/dist/robustness/clocks/shifted-clock.so');

let library: string | undefined;
let isTried = false;

/** The library that shifts clocks; undefined when there is no C compiler. */
function compiled(): string | undefined {
  if (isTried) return library;
  isTried = true;
  const isFresh = existsSync(built) && statSync(built).mtimeMs > statSync(source).mtimeMs;
  if (isFresh || compile()) library = built;
  return library;
}

/** Puts the whole library in place at once: other processes may be building it, or using it. */
function compile(): boolean {
  mkdirSync(dirname(built), { recursive: true });
  const unfinished = `${built}.${process.pid}`;
  const args = ['-shared', '-fPIC', '-O2', '-o', unfinished, source, '-ldl'];
  const { status } = spawnSync('cc', args, { stdio: 'ignore' });
  if (status !== 0 || !existsSync(unfinished)) return false;
  renameSync(unfinished, built);
  return true;
}

/** Whether wall clocks of single processes can be shifted here: Linux and a C compiler. */
export function canShiftClocks(): boolean {
  return process.platform === 'linux' && compiled() !== undefined;
}

/**
 * The wall clock of one process, which can jump at any time; its monotonic clock goes on. Works on programs that ask the
 * C library for the time, as Node does, and etcd does not.
 */
export class ShiftedClock {
  private readonly folder = mkdtempSync(join(tmpdir(), 'conclave-clock-'));
  private readonly path = join(this.folder, 'seconds');

  constructor() {
    this.shift(0);
  }

  /** For a process that shall have this clock. */
  get environment(): NodeJS.ProcessEnv {
    return { LD_PRELOAD: compiled(), SHIFTED_CLOCK_FILE: this.path };
  }

  /** From now on it is so many seconds ahead of the true time. */
  shift(seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    const file = openSync(this.path, existsSync(this.path) ? 'r+' : 'w');
    writeSync(file, bytes, 0, bytes.length, 0);
    closeSync(file);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
