import { describe, expect, it } from 'vitest';
import { Observations } from './observations.js';

describe('Observations', () => {
  it('counts hand-overs and elections without overlaps', () => {
    const seen = new Observations();
    seen.take('a', { kind: 'lock', state: 'held', token: '2', at: 1 });
    seen.take('a', { kind: 'lock', state: 'released', token: '2', at: 2 });
    seen.take('b', { kind: 'lock', state: 'held', token: '3', at: 3 });
    seen.take('a', { kind: 'leader', state: 'elected', term: '4', at: 1 });
    seen.killed('a', 5);
    seen.take('b', { kind: 'leader', state: 'elected', term: '9', at: 6 });
    expect([seen.lockHandOvers, seen.elections, seen.overlaps]).toEqual([1, 2, 0]);
  });

  it('sees two holders at once, and a token that did not grow', () => {
    const seen = new Observations();
    seen.take('a', { kind: 'lock', state: 'held', token: '2', at: 1 });
    seen.take('b', { kind: 'lock', state: 'held', token: '3', at: 3 });
    seen.take('a', { kind: 'lock', state: 'released', token: '2', at: 4 });
    expect(seen.overlaps).toBe(1);
    const tokens = new Observations();
    tokens.take('a', { kind: 'lock', state: 'held', token: '2', at: 1 });
    tokens.take('a', { kind: 'lock', state: 'released', token: '2', at: 2 });
    tokens.take('b', { kind: 'lock', state: 'held', token: '2', at: 3 });
    expect(tokens.overlaps).toBe(1);
  });

  it('counts a change once per worker and knows who saw all', () => {
    const seen = new Observations();
    seen.changed(7n);
    seen.take('a', { kind: 'config', revision: '7', values: {} });
    seen.take('a', { kind: 'config', revision: '7', values: {} });
    expect([seen.changesDelivered, seen.sawAll('a', 0), seen.sawAll('b', 0)]).toEqual([1, true, false]);
  });
});
