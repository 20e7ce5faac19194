import { describe, expect, it } from 'vitest';
import { type LogMark } from './state.js';
import { appendNow, fixtureDirectory, fixtureEntries, fixtureEntry, walFixture } from './wal-fixture.js';
import { type Wal } from './wal.js';

const confState = { voters: [1n, 2n], learners: [3n], outgoing: [], learnersNext: [], autoLeave: false };

function saveMark(wal: Wal, mark: LogMark): Promise<void> {
  return new Promise((resolve) => wal.saveMark(mark, resolve));
}

function restartAfter(wal: Wal, mark: LogMark): Promise<void> {
  return new Promise((resolve) => wal.restartAfter(mark, resolve));
}

/** Closes, reopens from what is durable only, and returns the reopened log. */
async function reopen(fixture: ReturnType<typeof walFixture>, wal: Wal): Promise<[Wal, typeof fixture]> {
  await wal.close();
  const next = walFixture(fixture.disk.model.crash(() => 0));
  return [await next.open({ create: false }), next];
}

describe('a write-ahead log', () => {
  it('is created when asked for, and refuses to appear out of nothing', async () => {
    const fixture = walFixture();
    await expect(fixture.open({ create: false })).rejects.toMatchObject({ code: 'missing' });
    const wal = await fixture.open();
    expect(wal.recovered).toBeUndefined();
    await wal.close();
    const again = await walFixture(fixture.disk.model).open({ create: false });
    expect(again.recovered).toMatchObject({
      hardState: { term: 0, commit: 0 },
      mark: { index: 0 },
      entries: [],
    });
    await again.close();
  });

  it('gives back hard state, mark and entries', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 10, 1));
    await appendNow(wal, fixtureEntries(11, 20, 2), 2);
    await saveMark(wal, { index: 7, term: 1, confState });
    await appendNow(wal, [{ ...fixtureEntry(21, 3), kind: 'config' }], 3);
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.hardState).toEqual({ term: 3, vote: 0n, commit: 21 });
    expect(again.recovered!.mark).toEqual({ index: 7, term: 1, confState });
    expect(again.recovered!.entries).toEqual([
      ...fixtureEntries(8, 10, 1),
      ...fixtureEntries(11, 20, 2),
      { ...fixtureEntry(21, 3), kind: 'config' },
    ]);
    expect(again.recovered!.report.torn).toBeUndefined();
    await again.close();
  });

  it('replaces a conflicting suffix', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 10, 1));
    await appendNow(wal, fixtureEntries(6, 7, 2), 2);
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.entries).toEqual([...fixtureEntries(1, 5, 1), ...fixtureEntries(6, 7, 2)]);
    await again.close();
  });

  it('begins anew after a state that goes beyond it, or has another history', async () => {
    for (const mark of [
      { index: 50, term: 3, confState },
      { index: 8, term: 3, confState },
    ]) {
      const fixture = walFixture();
      const wal = await fixture.open();
      await appendNow(wal, fixtureEntries(1, 10, 1));
      await restartAfter(wal, mark);
      expect(() => wal.append({ entries: [fixtureEntry(mark.index, 3)], mustSync: true }, () => {})).toThrow(
        /after the mark/,
      );
      expect(() =>
        wal.append({ entries: [fixtureEntry(mark.index + 2, 3)], mustSync: true }, () => {}),
      ).toThrow(/no gap/);
      const [again, next] = await reopen(fixture, wal);
      expect(again.recovered).toMatchObject({
        mark,
        entries: [],
        hardState: { term: 1, commit: mark.index },
      });
      await appendNow(again, fixtureEntries(mark.index + 1, mark.index + 2, 3), 3);
      const [last] = await reopen(next, again);
      expect(last.recovered!.mark).toEqual(mark);
      expect(last.recovered!.entries).toEqual(fixtureEntries(mark.index + 1, mark.index + 2, 3));
      await last.close();
    }
  });

  it('begins anew in the midst of other work, and forgets the segments before', async () => {
    const fixture = walFixture();
    const wal = await fixture.open({ segmentBytes: 4096 });
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    wal.append({ entries: fixtureEntries(1, 60, 1, 300), mustSync: true }, note('old'));
    wal.restartAfter({ index: 40, term: 2, confState }, note('restart'));
    wal.append({ entries: fixtureEntries(41, 45, 2, 300), mustSync: true }, note('new'));
    await appendNow(wal, fixtureEntries(46, 70, 2, 300), 2);
    expect(order).toEqual(['old', 'restart', 'new']);
    await saveMark(wal, { index: 65, term: 2, confState });
    wal.cut(65);
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.mark).toEqual({ index: 65, term: 2, confState });
    expect(again.recovered!.entries).toEqual(fixtureEntries(66, 70, 2, 300));
    expect(again.recovered!.report.segments).toBeLessThanOrEqual(4);
    await again.close();
  });

  it('refuses marks that the log does not lead to, and beginning anew further back', async () => {
    const wal = await walFixture().open();
    await appendNow(wal, fixtureEntries(1, 10, 1));
    expect(() => wal.saveMark({ index: 11, term: 1, confState })).toThrow(/within the log/);
    await saveMark(wal, { index: 6, term: 1, confState });
    expect(() => wal.restartAfter({ index: 6, term: 2, confState })).toThrow(/further on/);
    await wal.close();
  });

  it('keeps entries behind a mark that stays behind what is held, through cuts and restarts', async () => {
    let fixture = walFixture();
    let wal = await fixture.open({ segmentBytes: 4096 });
    const retained = 20;
    for (let held = 10; held <= 200; held += 10) {
      await appendNow(wal, fixtureEntries(held - 9, held, 1, 300));
      const index = Math.max(0, held - retained);
      if (index > 0) await saveMark(wal, { index, term: 1, confState });
      wal.cut(index);
      if (held % 60 !== 0) continue;
      [wal, fixture] = await reopen(fixture, wal);
      expect(wal.recovered!.mark.index).toBe(index);
      expect(wal.recovered!.entries).toEqual(fixtureEntries(index + 1, held, 1, 300));
    }
    expect(wal.stats.segments).toBeLessThan(10);
    await wal.close();
  });

  it('coalesces what arrives during a write into one write and one sync', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    const done: number[] = [];
    const before = wal.stats.fsyncs;
    await new Promise<void>((resolve) => {
      for (let i = 1; i <= 50; i++) {
        wal.append({ entries: [fixtureEntry(i, 1)], mustSync: i % 2 === 1 }, () => {
          done.push(i);
          if (i === 50) resolve();
        });
      }
      expect(wal.stats.queueBytes).toBe(50 * 40);
    });
    expect(done).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(wal.stats.fsyncs - before).toBe(2);
    expect(wal.stats.queueBytes).toBe(0);
    await wal.close();
  });

  it('takes bursts beyond its buffers, entries beyond a segment, and appends without content', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    const entries = [
      ...fixtureEntries(1, 400, 1, 300),
      fixtureEntry(401, 1, 100_000),
      ...fixtureEntries(402, 420, 1, 5_000),
    ];
    const order: string[] = [];
    wal.append({ entries: [], mustSync: true }, () => order.push('empty'));
    wal.append({ entries, mustSync: true }, () => order.push('burst'));
    wal.append({ entries: [], mustSync: false }, () => order.push('barrier'));
    await appendNow(wal, [fixtureEntry(421, 1, 70_000)]);
    expect(order).toEqual(['empty', 'burst', 'barrier']);
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.entries).toEqual([...entries, fixtureEntry(421, 1, 70_000)]);
    await again.close();
  });

  it('cuts whole segments that a durable mark covers, and no others', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    for (let i = 1; i <= 200; i++) await appendNow(wal, [fixtureEntry(i, 1, 500)]);
    const segments = wal.stats.segments;
    expect(segments).toBeGreaterThan(5);
    wal.cut(150);
    expect(wal.stats.segments).toBe(segments);
    await saveMark(wal, { index: 150, term: 1, confState });
    wal.cut(200);
    expect(wal.stats.segments).toBeLessThan(segments);
    expect(wal.stats.segments).toBeGreaterThan(1);
    const [again, next] = await reopen(fixture, wal);
    expect(again.recovered!.entries).toEqual(fixtureEntries(151, 200, 1, 500));
    await appendNow(again, fixtureEntries(201, 202, 1, 500));
    await saveMark(again, { index: 202, term: 1, confState });
    again.cut(202);
    const [last] = await reopen(next, again);
    expect(last.recovered!.mark.index).toBe(202);
    expect(last.recovered!.entries).toEqual([]);
    expect(last.recovered!.report.segments).toBeLessThanOrEqual(2);
    await last.close();
  });

  it('stays the same through any number of restarts, clean or not', async () => {
    let fixture = walFixture();
    let wal = await fixture.open();
    for (let round = 0; round < 12; round++) {
      const first = round * 3 + 1;
      await appendNow(wal, fixtureEntries(first, first + 2, round + 1), round + 1);
      if (round % 3 === 0) await wal.close();
      const model = round % 2 === 0 ? fixture.disk.model.clone() : fixture.disk.model.crash(() => 0);
      fixture = walFixture(model);
      wal = await fixture.open({ create: false });
      expect(wal.recovered!.entries.map((entry) => entry.index)).toEqual(
        Array.from({ length: first + 2 }, (_, i) => i + 1),
      );
      expect(wal.recovered!.hardState.term).toBe(round + 1);
    }
    await wal.close();
  });

  it('goes on in the room it has without space, and raises no alarm twice', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    let alarms = 0;
    wal.onNoSpace = () => alarms++;
    wal.onFailure = (error) => expect.unreachable(error.message);
    fixture.disk.capacityBytes = fixture.disk.model.usedBytes;
    let acknowledged = 0;
    for (let i = 1; i <= 200; i++) {
      wal.append({ entries: [fixtureEntry(i, 1, 500)], mustSync: true }, () => (acknowledged = i));
      await settle();
    }
    expect(alarms).toBe(1);
    expect(wal.stats.noSpace).toBe(true);
    expect(acknowledged).toBeGreaterThan(20);
    expect(acknowledged).toBeLessThan(200);
    fixture.clock.advance(5000);
    await settle();
    expect(alarms).toBe(1);
    fixture.disk.capacityBytes = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 10; round++) {
      fixture.clock.advance(1000);
      await settle();
    }
    expect(acknowledged).toBe(200);
    expect(wal.stats.noSpace).toBe(false);
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.entries).toEqual(fixtureEntries(1, 200, 1, 500));
    await again.close();
  });

  it('can be closed while it waits for space', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    fixture.disk.capacityBytes = fixture.disk.model.usedBytes;
    for (let i = 1; i <= 200; i++)
      wal.append({ entries: [fixtureEntry(i, 1, 500)], mustSync: true }, () => {});
    await wal.close();
    const again = await walFixture(fixture.disk.model.clone()).open();
    expect(again.recovered!.entries.length).toBeGreaterThan(20);
    await again.close();
  });

  it.each(['write', 'sync'] as const)('stops for good after a failed %s', async (operation) => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 3, 1));
    const failures: Error[] = [];
    wal.onFailure = (error) => failures.push(error);
    fixture.disk.faultOf = (effect) =>
      effect.operation === operation && effect.path.endsWith('.wal')
        ? { kind: 'error', code: 'EIO' }
        : undefined;
    const done: string[] = [];
    wal.append({ entries: [fixtureEntry(4, 1)], mustSync: true }, () => done.push('failed'));
    wal.append({ entries: [fixtureEntry(5, 1)], mustSync: true }, () => done.push('waiting'));
    await settle();
    fixture.disk.faultOf = undefined;
    wal.append({ entries: [fixtureEntry(6, 1)], mustSync: true }, () => done.push('later'));
    await settle();
    expect(done).toEqual([]);
    expect(failures).toHaveLength(1);
    expect(failures[0]!.message).toMatch(/EIO.*start the member again/s);
    expect(failures[0]!.message).toContain(fixtureDirectory);
    await wal.close();
    const again = await walFixture(fixture.disk.model.crash(() => 0)).open();
    expect(again.recovered!.entries.length).toBeGreaterThanOrEqual(3);
    await again.close();
  });

  it('finishes writes that were cut short', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    fixture.disk.faultOf = (effect) =>
      effect.operation === 'write' && (effect.length ?? 0) > 7 ? { kind: 'short', bytes: 7 } : undefined;
    await appendNow(wal, fixtureEntries(1, 5, 1));
    const [again] = await reopen(fixture, wal);
    expect(again.recovered!.entries).toEqual(fixtureEntries(1, 5, 1));
    await again.close();
  });
});

/** Lets everything take place that is not waiting for the clock. */
async function settle(): Promise<void> {
  for (let i = 0; i < 300; i++) await Promise.resolve();
}
