import { afterAll, describe, expect, it } from 'vitest';
import { FigureTable } from '../traffic/figures.js';
import { firstSegment, runWithFault, stateFile } from './fault-run.js';
import { canInject } from './tracer.js';

const full = process.env['CONCLAVE_FULL'] === '1';
const traced = canInject();
const note = traced ? '' : ' (left out: needs strace and the right to trace)';
const upTo = (last: number, step: number): string[] =>
  Array.from({ length: Math.ceil(last / step) }, (_, i) => String(1 + i * step));

/** The place of the fault among the calls on the file; what comes before is the same in every run, then traffic. */
const failedSyncs = full ? upTo(60, 2) : ['2', '40'];
const failedWrites = full ? upTo(60, 3) : ['25'];
const killedSyncs = full ? upTo(60, 2) : ['30'];

const figures = new FigureTable();
afterAll(() => {
  if (full && traced) process.stdout.write(`${figures.text}\n`);
});

describe.skipIf(!traced)(`a log that fails${note}`, () => {
  const faults = [
    ...failedSyncs.map((when) => ['fdatasync', 'EIO', when] as const),
    ...failedWrites.map((when) => ['pwrite64', 'EIO', when] as const),
    ['pwrite64', 'ENOSPC', '30'] as const,
  ];

  it.each(faults)(
    'ends the member, and nothing that was confirmed is lost (%s %s, call %s)',
    async (call, error, when) => {
      const report = await runWithFault(Number(when), {
        file: firstSegment,
        call,
        fault: `error=${error}`,
        when,
      });
      figures.add(`log: ${call} ${error}`, report);
      expect(report.violations).toEqual([]);
      expect(report.end).toBe(1);
      const what = call === 'fdatasync' ? 'sync' : 'write';
      expect(report.output).toMatch(
        new RegExp(`"level":"fatal".*${what} of .*${firstSegment}.* failed: ${error}`),
      );
      expect(report.output).toContain('Check the disk');
      // No second try: the failed call is the last that the file saw.
      expect(report.calls.findIndex((line) => line.includes('INJECTED'))).toBe(report.calls.length - 1);
      expect(report.calls.at(-1)).toContain(`${error} `);
    },
  );
});

describe.skipIf(!traced)(`killed in the middle of a system call${note}`, () => {
  it.each(killedSyncs)('of the log: sync %s', async (when) => {
    const report = await runWithFault(Number(when), {
      file: firstSegment,
      call: 'fdatasync',
      fault: 'signal=KILL',
      when,
    });
    figures.add('log: killed in fdatasync', report);
    expect(report.violations).toEqual([]);
    expect(report.end).toBe('SIGKILL');
  });

  it.each(full ? ['1', '2', '3', '4'] : ['2'])('of the store: sync %s', async (when) => {
    const report = await runWithFault(100 + Number(when), {
      file: stateFile,
      call: 'fdatasync',
      fault: 'signal=KILL',
      when,
    });
    figures.add('store: killed in fdatasync', report);
    expect(report.violations).toEqual([]);
    expect(report.end).toBe('SIGKILL');
  });
});

describe.skipIf(!traced)(`a store that fails${note}`, () => {
  it.each(full ? ['2', '3', '4'] : ['2'])(
    'ends the member, and the log has everything (sync %s)',
    async (when) => {
      const report = await runWithFault(200 + Number(when), {
        file: stateFile,
        call: 'fdatasync',
        fault: 'error=EIO',
        when: `${when}+`,
      });
      figures.add('store: fdatasync EIO', report);
      expect(report.violations).toEqual([]);
      expect(report.end).toBe(1);
      expect(report.output).toMatch(/"level":"fatal".*state\.lmdb/);
    },
  );
});
