import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { monotonicMs } from './monotonic.js';

/**
 * What a worker writes down, each line before it goes on. `granted`: from now on it believes. `believed`: until `deadline`, as
 * its lease says now. `lost`: it was told. `releasing`: it stops believing before it gives the lock back. `accepted` and
 * `refused`: the answer to a guarded write. Times are milliseconds of the monotonic clock of the machine.
 */
export interface WorkerRecord {
  readonly kind: 'granted' | 'believed' | 'lost' | 'releasing' | 'accepted' | 'refused' | 'failed';
  readonly at: number;
  readonly token: string;
  readonly deadline?: number;
  /** Of an accepted write: the value of the counter that it wrote. */
  readonly value?: number;
  /** What failed. */
  readonly text?: string;
}

/** The file of one life of a worker: what was written is there, however the process ends. */
export class WorkerLog {
  private readonly file: number;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  write(record: Omit<WorkerRecord, 'at'>): void {
    writeSync(this.file, `${JSON.stringify({ at: monotonicMs(), ...record })}\n`);
  }

  close(): void {
    closeSync(this.file);
  }
}

/** The complete lines: a worker that was killed may have begun another one. None when it was killed before the first. */
export function readWorkerLog(path: string): WorkerRecord[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as WorkerRecord);
}
