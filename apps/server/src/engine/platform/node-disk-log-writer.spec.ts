import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DiskError, DiskFile, LogWriterListener } from './disk.js';
import { createChannel, Word } from './node-disk-channel.js';
import { NodeLogWriter } from './node-disk-log-writer.js';
import { NodeDisk } from './node-disk.js';

/** Calls back once for each write, as the listener of a log does. */
class Waiting implements LogWriterListener {
  written: () => void = () => undefined;
  failed: (error: DiskError) => void = () => undefined;

  onWritten(): void {
    this.written();
  }

  onWriteFailed(error: DiskError): void {
    this.failed(error);
  }
}

describe('the log writer of the machine', () => {
  let directory: string;
  let disk: NodeDisk;
  let file: DiskFile;
  let path: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'conclave-log-writer-'));
    disk = new NodeDisk();
    path = join(directory, 'log');
    file = await disk.open(path, 'create');
  });

  afterEach(async () => {
    await file.close();
    await disk.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('takes a wake-up that is late for the reply before it as none', async () => {
    const channel = createChannel();
    const waiting = new Waiting();
    const writer = new NodeLogWriter(waiting, channel);
    const buffer = writer.allocate(16 * 2 ** 20);
    buffer.bytes.fill(7);
    for (let round = 0; round < 5; round++) {
      let replies = 0;
      await new Promise<void>((resolve, reject) => {
        waiting.failed = reject;
        waiting.written = () => {
          replies += 1;
          resolve();
        };
        writer.write(file, 0, buffer, buffer.bytes.length, true);
        Atomics.notify(channel.words, Word.reply);
      });
      expect(Atomics.load(channel.words, Word.reply)).toBe(round + 1);
      await new Promise((resolve) => setImmediate(resolve));
      expect(replies).toBe(1);
    }
    writer.close();
    await writer.ended;
  });

  it('writes each in its turn, whether the replies are polled for or awaited', async () => {
    const waiting = new Waiting();
    const writer = new NodeLogWriter(waiting);
    const buffer = writer.allocate(8_192);
    const expected: number[] = [];
    /** As the log does it: the next write is made by the reply to the last, or later when there was nothing to write. */
    const lengthOf = (at: number): number => (at % 50 === 49 ? 8_192 : 1 + (at % 40));
    let at = 0;
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        if (at === 1_000) return resolve();
        const length = lengthOf(at);
        buffer.bytes.fill(at & 0xff, 0, length);
        const offset = expected.length;
        for (let i = 0; i < length; i++) expected.push(at & 0xff);
        at += 1;
        writer.write(file, offset, buffer, length, true);
      };
      waiting.failed = reject;
      waiting.written = () => {
        if (at % 97 === 96) setTimeout(next, 2);
        else next();
      };
      next();
    });
    expect(at).toBe(1_000);
    expect(readFileSync(path).equals(Buffer.from(expected))).toBe(true);
    writer.close();
    await writer.ended;
  });
});
