import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryLock } from './directory-lock.js';
import { type Logger } from './logger.js';

const logger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'directory-lock-'));
});

afterEach(() => {
  chmodSync(root, 0o700);
  rmSync(root, { recursive: true, force: true });
});

const socketsIn = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('lock-'));

describe('a directory lock', () => {
  it('creates the directory for its user only, and is exclusive until released', async () => {
    const directory = join(root, 'member');
    const lock = await DirectoryLock.acquire(directory, logger);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const refused = DirectoryLock.acquire(directory, logger);
    await expect(refused).rejects.toMatchObject({ code: 'in use', directory });
    await expect(DirectoryLock.acquire(directory, logger)).rejects.toThrow(
      /member is in use.*data directory of its own/,
    );
    await lock.release();
    await lock.release().catch(() => {});
    const again = await DirectoryLock.acquire(directory, logger);
    await again.release();
    expect(socketsIn(directory)).toEqual([]);
  });

  it('has exactly one winner among many that start together', async () => {
    for (let round = 0; round < 5; round++) {
      const attempts = Array.from({ length: 12 }, () => DirectoryLock.acquire(root, logger));
      const outcomes = await Promise.allSettled(attempts);
      const held = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(held).toHaveLength(1);
      await held[0]!.value.release();
    }
  });

  it('is taken over from a process that was killed', async () => {
    const script = `
      const server = require('node:net').createServer();
      server.listen(${JSON.stringify(join(root, 'lock-0000000000000001.sock'))}, () => console.log('up'));`;
    const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((up) => holder.stdout.once('data', up));
    await expect(DirectoryLock.acquire(root, logger)).rejects.toMatchObject({ code: 'in use' });
    const ended = new Promise((end) => holder.once('exit', end));
    holder.kill('SIGKILL');
    await ended;
    expect(socketsIn(root)).toEqual(['lock-0000000000000001.sock']);
    const lock = await DirectoryLock.acquire(root, logger);
    expect(socketsIn(root)).toHaveLength(1);
    await lock.release();
  });

  it('waits for a competitor that gives way, and yields to one with a lower name', async () => {
    const competitor = createServer((peer) => setImmediate(() => peer.destroy()));
    const high = join(root, 'lock-ffffffffffffffff.sock');
    await new Promise<void>((up) => competitor.listen(high, up));
    const acquiring = DirectoryLock.acquire(root, logger);
    await new Promise((asked) => competitor.once('connection', asked));
    competitor.close();
    const lock = await acquiring;
    await lock.release();
    const low = createServer((peer) => peer.resume());
    await new Promise<void>((up) => low.listen(join(root, 'lock-0000000000000000.sock'), up));
    await expect(DirectoryLock.acquire(root, logger)).rejects.toMatchObject({ code: 'in use' });
    await new Promise((down) => low.close(down));
  });

  it('works where the path is too long for a socket', async () => {
    const directory = join(root, 'x'.repeat(100), 'y'.repeat(100));
    const lock = await DirectoryLock.acquire(directory, logger);
    expect(socketsIn(directory)).toHaveLength(1);
    await expect(DirectoryLock.acquire(directory, logger)).rejects.toMatchObject({ code: 'in use' });
    await lock.release();
    expect(socketsIn(directory)).toEqual([]);
  });

  it('refuses a directory that everybody can write, and warns of one that others can read', async () => {
    chmodSync(root, 0o777);
    await expect(DirectoryLock.acquire(root, logger)).rejects.toMatchObject({ code: 'open to others' });
    await expect(DirectoryLock.acquire(root, logger)).rejects.toThrow(/chmod 700/);
    chmodSync(root, 0o755);
    const warnings: string[] = [];
    const lock = await DirectoryLock.acquire(root, { ...logger, warn: (message) => warnings.push(message) });
    expect(warnings).toHaveLength(1);
    await lock.release();
  });

  it('refuses what is not a writable directory, with the remedy', async () => {
    writeFileSync(join(root, 'file'), '');
    const refused = DirectoryLock.acquire(join(root, 'file', 'member'), logger);
    await expect(refused).rejects.toMatchObject({ code: 'not writable' });
    await expect(refused).rejects.toThrow(/Give it to the user/);
    if (process.getuid?.() === 0) return;
    mkdirSync(join(root, 'closed'), { mode: 0o500 });
    await expect(DirectoryLock.acquire(join(root, 'closed'), logger)).rejects.toMatchObject({
      code: 'not writable',
    });
  });
});
