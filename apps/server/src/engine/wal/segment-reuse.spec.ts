import { describe, expect, it } from 'vitest';
import { type DiskEffect } from '../platform/simulated-disk.js';
import { endMarkBytes } from './record.js';
import { type LogMark } from './state.js';
import { appendNow, fixtureDirectory, fixtureEntry, walFixture, type WalFixture } from './wal-fixture.js';
import { type Wal } from './wal.js';

const confState = { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };

/** Appends `first` to `last`; every fourth time the log lets go of all entries but the last three. */
async function run(wal: Wal, first: number, last: number): Promise<void> {
  for (let index = first; index <= last; index++) {
    await appendNow(wal, [fixtureEntry(index, 1, 900 + (index % 50))]);
    if (index % 4 > 0) continue;
    const mark: LogMark = { index: index - 3, term: 1, confState };
    await new Promise<void>((resolve) => wal.saveMark(mark, resolve));
    wal.cut(mark.index);
  }
}

/** Bytes of zeros that segments were filled with, end marks aside. */
function countFilled(fixture: WalFixture): { bytes: number } {
  const filled = { bytes: 0 };
  fixture.disk.onEffect = ({ operation, length }: DiskEffect) => {
    if (operation === 'fill' && length !== undefined && length > endMarkBytes) filled.bytes += length;
  };
  return filled;
}

function temporaryFiles({ disk }: WalFixture): string[] {
  return disk.model.list(fixtureDirectory).filter((name) => name.endsWith('.tmp'));
}

describe('the file of a segment that was cut', () => {
  it('takes a later segment, so that a log that is cut as it grows fills no more files', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await run(wal, 1, 80);
    const filled = countFilled(fixture);
    const { segments, bytes } = wal.stats;
    await run(wal, 81, 400);
    expect(wal.stats.bytes - bytes).toBeGreaterThan(16 * 16 * 1024);
    expect(wal.stats.segments).toBeLessThanOrEqual(segments + 1);
    expect(filled.bytes).toBe(0);
    await wal.close();
    expect(temporaryFiles(fixture)).toEqual([]);
  });

  it.each(['closed', 'killed', 'cut off from power'])(
    'shows nothing of its former content to a member that was %s',
    async (how) => {
      for (let last = 200; last < 230; last++) {
        const fixture = walFixture();
        const wal = await fixture.open();
        await run(wal, 1, last);
        if (how === 'closed') await wal.close();
        else fixture.disk.crash();
        const { model } = fixture.disk;
        const next = walFixture(how === 'cut off from power' ? model.crash(() => 0) : model);
        const again = await next.open({ create: false });
        const { entries, mark, report } = again.recovered!;
        expect(entries).toEqual(
          Array.from({ length: last - mark.index }, (_, i) => {
            const index = mark.index + 1 + i;
            return fixtureEntry(index, 1, 900 + (index % 50));
          }),
        );
        expect(mark.index).toBe(last - (last % 4) - 3);
        expect(report.torn).toBeUndefined();
        await again.close();
        expect(temporaryFiles(next)).toEqual([]);
      }
    },
  );

  it('is given up for a record that it cannot hold', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    let last = 80;
    await run(wal, 1, last);
    // One file is prepared, another is the spare.
    while (temporaryFiles(fixture).length < 2 && last < 160) await run(wal, last + 1, ++last);
    expect(temporaryFiles(fixture)).toHaveLength(2);
    const large = [fixtureEntry(last + 1, 1, 50_000), fixtureEntry(last + 2, 1, 50_000)];
    for (const entry of large) await appendNow(wal, [entry]);
    await wal.close();
    const again = await walFixture(fixture.disk.model).open({ create: false });
    expect(again.recovered!.entries.slice(-2)).toEqual(large);
    await again.close();
  });

  it('does without the space that a new one would need', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    wal.onNoSpace = () => expect.unreachable('files are written again');
    await run(wal, 1, 80);
    fixture.disk.capacityBytes = fixture.disk.model.usedBytes + 1024;
    await run(wal, 81, 200);
    await wal.close();
  });
});
