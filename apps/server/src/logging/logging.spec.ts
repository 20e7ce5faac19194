import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NumberCounter } from '../metrics/instruments.js';
import { joinLogSinks, type LogSink, openLogSink } from './log-sink.js';
import { createConsoleLogger, createJsonLogger, logLevelOf } from './server-logger.js';

const wall = (): number => Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function memorySink(): LogSink & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line), flush: () => Promise.resolve() };
}

describe('createJsonLogger', () => {
  it("writes etcd's keys and leaves out what is below the level", () => {
    const sink = memorySink();
    const logger = createJsonLogger('info', sink, wall);
    logger.debug('hidden');
    logger.info('ready to serve client requests', {
      memberId: '8e9e05c52164694d',
      clientUrls: ['http://localhost:2379'],
    });
    expect(sink.lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        level: 'info',
        ts: '2026-01-02T03:04:05.678Z',
        msg: 'ready to serve client requests',
        memberId: '8e9e05c52164694d',
        clientUrls: ['http://localhost:2379'],
      },
    ]);
  });
});

describe('createConsoleLogger', () => {
  it('writes one line per entry, whatever the message contains', () => {
    const sink = memorySink();
    const logger = createConsoleLogger(logLevelOf('dpanic'), sink, wall);
    logger.error('hidden');
    logger.fatal('first\nsecond', { term: 2 });
    expect(sink.lines).toEqual(['2026-01-02T03:04:05.678Z\tFATAL\tfirst\\nsecond\t{"term":2}\n']);
  });
});

describe('openLogSink', () => {
  it('refuses a path that cannot be opened', async () => {
    await expect(openLogSink('/dev/null/server.log', new NumberCounter())).rejects.toThrow(/ENOTDIR|EEXIST/);
  });

  it.skipIf(process.platform !== 'linux')(
    'drops and counts lines that nobody takes, without blocking',
    async () => {
      const dropped = new NumberCounter();
      const sink = await openLogSink('/dev/full', dropped);
      for (let i = 0; i < 5; i++) sink.write(`${'x'.repeat(2 * 1024 * 1024)}\n`);
      await sink.flush(200);
      expect(dropped.value).toBeGreaterThan(0);
    },
  );

  it('appends to a file and flushes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-log-'));
    const path = join(directory, 'sub', 'server.log');
    try {
      const sink = joinLogSinks([await openLogSink(path, new NumberCounter())]);
      sink.write('one\n');
      sink.write('two\n');
      await sink.flush(5_000);
      expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
