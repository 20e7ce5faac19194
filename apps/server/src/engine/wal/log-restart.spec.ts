import { describe, expect, it } from 'vitest';
import { interruptedRestart, restartLog } from './log-restart.js';
import { emptyConfState, emptyHardState, type RecoveredLog } from './state.js';
import { appendNow, fixtureEntries, fixtureMetadata, walFixture } from './wal-fixture.js';

const confState = { ...emptyConfState, voters: [1n, 2n, 3n] };

/** A log that begins after `mark` and has entries of term 2 up to `last`. */
function logOf(mark: number, last: number, term = 2): RecoveredLog {
  return {
    metadata: fixtureMetadata,
    hardState: { term: 4, vote: 9n, commit: mark },
    mark: { index: mark, term: 2, confState: emptyConfState },
    entries: fixtureEntries(mark + 1, last, term),
    report: { torn: undefined, segments: 1, bytes: 0 },
  };
}

function restartOf(log: RecoveredLog, index: number, term: number, applied = { index, term }) {
  return interruptedRestart(log, { applied, installed: { index, term }, confState });
}

describe('an interrupted restart of the log', () => {
  it('is one whose store was installed, and whose log does not lead there', () => {
    const restarted = {
      mark: { index: 50, term: 4, confState },
      hardState: { term: 4, vote: 9n, commit: 50 },
    };
    expect(restartOf(logOf(10, 40), 50, 4)).toEqual(restarted);
    expect(restartOf(logOf(10, 60), 50, 4)).toEqual(restarted);
    expect(restartOf(logOf(10, 10), 50, 4)).toEqual(restarted);
  });

  it('raises the term to that of the state, in which the member has not voted', () => {
    expect(restartOf(logOf(10, 40), 50, 7)?.hardState).toEqual({ term: 7, vote: 0n, commit: 50 });
    const joining = { ...logOf(0, 0), hardState: emptyHardState };
    expect(restartOf(joining, 50, 7)?.hardState).toEqual({ term: 7, vote: 0n, commit: 50 });
  });

  it('is none where the log leads to the state, or was restarted already', () => {
    expect(restartOf(logOf(10, 60, 4), 50, 4)).toBeUndefined();
    expect(restartOf(logOf(50, 60), 50, 4)).toBeUndefined();
    expect(restartOf(logOf(55, 60), 50, 4)).toBeUndefined();
  });

  it('is none where the store went on from what was installed, or never installed anything', () => {
    expect(restartOf(logOf(10, 40), 50, 4, { index: 52, term: 4 })).toBeUndefined();
    const store = { applied: { index: 50, term: 4 }, installed: undefined, confState };
    expect(interruptedRestart(logOf(10, 40), store)).toBeUndefined();
  });

  it('is finished durably, and then is none any more', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 20, 2), 2);
    await wal.close();
    const first = walFixture(fixture.disk.model);
    const opened = await first.open({ create: false });
    const restart = restartOf(opened.recovered!, 50, 7)!;
    await restartLog(opened, restart);
    first.disk.crash();
    const again = await walFixture(first.disk.model.crash(() => 0)).open({ create: false });
    expect(again.recovered).toMatchObject({ ...restart, entries: [] });
    expect(restartOf(again.recovered!, 50, 7)).toBeUndefined();
    await again.close();
  });

  it('says when the disk fails meanwhile', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 20, 2), 2);
    fixture.disk.faultOf = ({ operation }) =>
      operation === 'sync' ? { kind: 'error', code: 'EIO' } : undefined;
    const restart = { mark: { index: 50, term: 7, confState }, hardState: { term: 7, vote: 0n, commit: 50 } };
    await expect(restartLog(wal, restart)).rejects.toThrow(/write-ahead log failed/);
    fixture.disk.faultOf = undefined;
    await wal.close();
  });
});
