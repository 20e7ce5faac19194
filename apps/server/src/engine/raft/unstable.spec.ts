import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RaftLog } from './log.js';
import { type Entry, type HardState } from './message.js';
import { SimulatedDisk } from './testing/simulated-disk.js';
import { Unstable } from './unstable.js';
import { type PersistBatch } from './work.js';

const FRESH: HardState = { term: 0, vote: 0n, commit: 0 };

function entry(index: number, term: number): Entry {
  return { index, term, kind: 'normal', data: new Uint8Array([term]) };
}

/** What the disk holds after the first `count` of these batches. */
function diskAfter(batches: readonly PersistBatch[], count: number): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const batch of batches.slice(0, count)) disk.complete({ ...batch, mustSync: true });
  return disk;
}

describe('Unstable', () => {
  it('calls durable only what every crash would leave, whatever is replaced meanwhile', () => {
    const step = fc.record({
      action: fc.constantFrom('append', 'replace', 'take', 'take', 'acknowledge'),
      at: fc.nat(10),
      term: fc.integer({ min: 1, max: 3 }),
    });
    const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = new RaftLog(0, 0, [], 0, 0);
      const unstable = new Unstable(0, FRESH);
      const taken: PersistBatch[] = [];
      let acknowledged = 0;
      for (const { action, at, term } of steps) {
        if (action === 'append') log.append(entry(log.lastIndex + 1, Math.max(log.lastTerm, term)));
        else if (action === 'replace') {
          // Terms may go down and come back here: the same entries return after others stood in their place.
          const index = 1 + (at % (log.lastIndex + 1));
          const replaced = log.appendFromLeader([entry(index, Math.max(log.termAt(index - 1), term))]);
          if (replaced > 0) unstable.truncatedFrom(replaced);
        } else if (action === 'take') taken.push(unstable.takeBatch(log, 1, 0n, []));
        else if (acknowledged < taken.length) unstable.acknowledge(taken[acknowledged++]!.id);
        for (let written = acknowledged; written <= taken.length; written += 1) {
          const disk = diskAfter(taken, written);
          for (let index = 1; index <= unstable.persisted; index += 1) {
            expect(disk.termAt(index)).toBe(log.termAt(index));
          }
        }
      }
      taken.push(unstable.takeBatch(log, 1, 0n, []));
      while (acknowledged < taken.length) unstable.acknowledge(taken[acknowledged++]!.id);
      expect(unstable.persisted).toBe(log.lastIndex);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('does not fall for the append ABA race', () => {
    const log = new RaftLog(0, 0, [entry(1, 1)], 0, 0);
    const unstable = new Unstable(1, FRESH);
    log.append(entry(2, 1));
    const first = unstable.takeBatch(log, 1, 0n, []);
    unstable.truncatedFrom(log.appendFromLeader([entry(2, 2)]));
    const second = unstable.takeBatch(log, 2, 0n, []);
    unstable.truncatedFrom(log.appendFromLeader([entry(2, 1)]));
    const third = unstable.takeBatch(log, 3, 0n, []);
    unstable.acknowledge(first.id);
    expect(unstable.persisted).toBe(1);
    unstable.acknowledge(second.id);
    expect(unstable.persisted).toBe(1);
    unstable.acknowledge(third.id);
    expect(unstable.persisted).toBe(2);
  });

  it('syncs for entries, terms and votes, and not for the commit index alone', () => {
    const log = new RaftLog(0, 0, [], 0, 0);
    const unstable = new Unstable(0, FRESH);
    expect(unstable.takeBatch(log, 1, 0n, [])).toMatchObject({ mustSync: true, hardState: { term: 1 } });
    expect(unstable.takeBatch(log, 1, 2n, [])).toMatchObject({ mustSync: true, hardState: { vote: 2n } });
    log.append(entry(1, 1));
    expect(unstable.takeBatch(log, 1, 2n, [])).toMatchObject({ mustSync: true, hardState: undefined });
    log.commitTo(1);
    expect(unstable.takeBatch(log, 1, 2n, [])).toMatchObject({ mustSync: false, hardState: { commit: 1 } });
    expect(unstable.takeBatch(log, 1, 2n, [])).toMatchObject({ mustSync: false, hardState: undefined });
  });

  it('knows the durable vote only from acknowledged batches, in order', () => {
    const log = new RaftLog(0, 0, [], 0, 0);
    const unstable = new Unstable(0, FRESH);
    unstable.takeBatch(log, 1, 1n, []);
    unstable.takeBatch(log, 2, 3n, []);
    expect(unstable.hasDurableVote(1, 1n)).toBe(false);
    expect(() => unstable.acknowledge(2)).toThrow('in order');
    const again = new Unstable(0, FRESH);
    again.takeBatch(log, 1, 1n, []);
    again.acknowledge(1);
    expect(again.hasDurableVote(1, 1n)).toBe(true);
    expect(again.hasDurableVote(1, 2n)).toBe(false);
    expect(again.hasDurableVote(0, 2n)).toBe(true);
    expect(() => again.acknowledge(2)).toThrow('is outstanding');
  });

  it('refuses a second vote in a term and a term that goes back', () => {
    const log = new RaftLog(0, 0, [], 0, 0);
    const unstable = new Unstable(0, FRESH);
    unstable.takeBatch(log, 2, 1n, []);
    expect(() => unstable.takeBatch(log, 2, 3n, [])).toThrow('one vote in a term');
    expect(() => unstable.takeBatch(log, 1, 1n, [])).toThrow('the term never decreases');
  });
});
