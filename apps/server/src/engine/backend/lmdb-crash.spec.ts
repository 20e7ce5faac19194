import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { workerUrl } from '../platform/worker-url.js';
import { startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';

/** Lets the program flush `flushes` times, kills it in the midst of the next, and returns what it last called durable. */
async function runAndKill(directory: string, flushes: number): Promise<number> {
  const program = fileURLToPath(workerUrl(import.meta.url, './lmdb-crash.fixture.js'));
  const child: ChildProcess = spawn(process.execPath, [program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let durable = 0;
  let seen = 0;
  if (child.stdout === null) throw new Error('the output of the program is a pipe');
  for await (const line of createInterface({ input: child.stdout })) {
    durable = Number(line);
    if (++seen === flushes) child.kill('SIGKILL');
  }
  const [, signal] = (await ended) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  return durable;
}

/** The state has to be that of entries 1 to T, to the last row. */
async function checkState(directory: string, durable: number): Promise<void> {
  const backend = await startLmdb(directory);
  try {
    const { index } = backend.applied;
    expect(index).toBeGreaterThanOrEqual(durable);
    expect(Buffer.from(backend.get('meta', 'last') ?? []).toString()).toBe(String(index));
    for (let slot = 0; slot < 97; slot++) {
      const last = index - ((((index - slot) % 97) + 97) % 97);
      expect(Buffer.from(backend.get('head', `k${slot}`) ?? []).toString()).toBe(
        last < 1 ? '' : String(last),
      );
    }
    const rows: number[] = [];
    backend.scanLog({ main: 0, sub: 0 }, undefined, (main) => void rows.push(main));
    const expected = Array.from({ length: index }, (_, at) => at + 1).filter(
      (each) => each % 2 === 0 || each === index,
    );
    expect(rows).toEqual(expected);
  } finally {
    await backend.close();
  }
}

it('is exactly at one boundary, not before the flushed one, when the process is killed at any time', async () => {
  const directory = await temporaryDirectory();
  try {
    for (const flushes of [1, 2, 5]) await checkState(directory, await runAndKill(directory, flushes));
  } finally {
    await rm(directory, { recursive: true });
  }
});
