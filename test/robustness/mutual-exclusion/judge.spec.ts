import { describe, expect, it } from 'vitest';
import { judge, type Trial, type WorkerLife } from './judge.js';
import { type LedgerRow } from './ledger.js';
import { type WorkerRecord } from './worker-log.js';

const records = (token: number, from: number, until: number, value: number): WorkerRecord[] => [
  { kind: 'granted', at: from, token: String(token) },
  { kind: 'believed', at: from, token: String(token), deadline: from + 2_000 },
  { kind: 'accepted', at: until - 1, token: String(token), value },
  { kind: 'releasing', at: until, token: String(token) },
];
const row = (seq: number, kind: 'read' | 'write', token: number, value: number): LedgerRow => ({
  seq,
  kind,
  token: BigInt(token),
  value,
});

/** Two workers, three turns, one kill: nothing to find fault with. */
function goodTrial(): Trial {
  const a: WorkerLife = { name: 'a', records: [...records(5, 0, 100, 1), ...records(9, 300, 400, 3)] };
  const b: WorkerLife = { name: 'b', records: records(7, 110, 200, 2), killedAt: 250 };
  const rows = [5, 7, 9].flatMap((token, at) => [
    row(2 * at + 1, 'read', token, at),
    row(2 * at + 2, 'write', token, at + 1),
  ]);
  const faults = [{ name: 'kill b', from: 250, until: 250 }];
  return { lives: [a, b], rows, counter: 3, faults, handOverBoundMs: 60 };
}

const withRecords = (change: (record: WorkerRecord) => WorkerRecord[]): Trial => {
  const trial = goodTrial();
  return {
    ...trial,
    lives: trial.lives.map((life) => ({ ...life, records: life.records.flatMap(change) })),
  };
};

const spoiled: readonly (readonly [string, Trial, RegExp])[] = [
  ['a counter that missed a write', { ...goodTrial(), counter: 2 }, /counter is 2 after 3/],
  [
    'a write over a newer one',
    {
      ...goodTrial(),
      rows: goodTrial().rows.map((old) => (old.seq === 6 ? { ...old, value: 2 } : old)),
    },
    /wrote 2 after 2/,
  ],
  [
    'an acknowledged write that is gone',
    { ...goodTrial(), rows: goodTrial().rows.slice(0, -1) },
    /is not there/,
  ],
  [
    'a stale write',
    { ...goodTrial(), rows: [...goodTrial().rows, row(7, 'write', 7, 4)], counter: 4 },
    /write of token 7 was accepted after 9/,
  ],
  [
    'a holder that neither releases nor is told, and believes too long',
    withRecords((record) => (record.token === '5' && record.kind === 'releasing' ? [] : [record])),
    /b \(token 7\) held 1890 ms before a/,
  ],
  [
    'a token that is given twice',
    withRecords((record) => [record.token === '9' ? { ...record, token: '7' } : record]),
    /token 7 was given twice/,
  ],
  ['a hand-over that takes too long', { ...goodTrial(), handOverBoundMs: 40 }, /granted 50 ms after/],
];

describe('the judge of mutual exclusion', () => {
  it('finds nothing in a good trial', () => {
    expect(judge(goodTrial())).toEqual({
      violations: [],
      handOvers: 2,
      accepted: 3,
      refused: 0,
      lost: 0,
      worstHandOverMs: 50,
    });
  });

  it.each(spoiled)('finds %s', (_, trial, expected) => {
    expect(judge(trial).violations.join('\n')).toMatch(expected);
  });

  it('counts a holder that was killed as believing no longer than that', () => {
    const trial = withRecords((record) =>
      record.token === '7' && record.kind === 'releasing' ? [] : [record],
    );
    expect(judge(trial).violations).toEqual([]);
  });
});
