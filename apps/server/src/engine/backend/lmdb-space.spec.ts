import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { workerUrl } from '../platform/worker-url.js';
import { startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';

/** A limit of the file size stands for a full disk, since both shorten writes and then refuse them. */
const canLimit = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;

it.skipIf(!canLimit)(
  'waits while the disk is full, loses nothing, and goes on when there is space',
  async () => {
    const directory = await temporaryDirectory();
    try {
      const program = fileURLToPath(workerUrl(import.meta.url, './lmdb-space.fixture.js'));
      const limit = '--fsize=3000000:unlimited';
      const child = spawn('prlimit', [limit, process.execPath, program, directory], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const ended = once(child, 'exit');
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        if (lines.length === 1) execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
      }
      expect((await ended)[0]).toBe(0);
      expect(lines).toEqual(['no space, nothing lost', 'durable 40']);
      const backend = await startLmdb(directory);
      expect(backend.applied.index).toBe(40);
      expect(backend.count('head', '', undefined)).toBe(40);
      for (let index = 1; index <= 40; index++)
        expect(backend.get('head', `key ${index}`)?.[199_999]).toBe(index);
      await backend.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
