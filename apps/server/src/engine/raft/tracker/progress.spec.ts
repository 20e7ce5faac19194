import { describe, expect, it } from 'vitest';
import { Inflights } from './inflights.js';
import { Progress } from './progress.js';

function progressAt(next: number): Progress {
  return new Progress(2n, false, next, new Inflights(2, 1000));
}

describe('Progress', () => {
  it('probes with one append at a time, and replicates once it is answered', () => {
    const progress = progressAt(8);
    expect(progress.isPaused()).toBe(false);
    progress.sent(9, 20, 3);
    expect(progress.isPaused()).toBe(true);
    expect(progress.next).toBe(8);
    expect(progress.acknowledged(9, 0)).toBe(true);
    expect(progress).toMatchObject({ state: 'replicate', match: 9, next: 10, sentCommit: 3 });
  });

  it('goes back to where the logs can agree, but never below what is acknowledged', () => {
    const progress = progressAt(8);
    progress.acknowledged(3, 0);
    progress.becomeProbe();
    progress.next = 8;
    expect(progress.rejected(7, 5)).toBe(true);
    expect(progress.next).toBe(6);
    expect(progress.rejected(5, 0)).toBe(true);
    expect(progress.next).toBe(4);
  });

  it('always goes back by a step at least', () => {
    const progress = progressAt(8);
    expect(progress.rejected(7, 7)).toBe(true);
    expect(progress.next).toBe(7);
  });

  it('ignores a rejection that answers an older question', () => {
    const progress = progressAt(8);
    expect(progress.rejected(6, 2)).toBe(false);
    progress.acknowledged(7, 0);
    expect(progress.rejected(7, 2)).toBe(false);
    expect(progress).toMatchObject({ state: 'replicate', match: 7, next: 8 });
  });

  it('replicates within its window, and forgets the window when it has to probe', () => {
    const progress = progressAt(1);
    progress.acknowledged(1, 0);
    progress.sent(2, 10, 1);
    progress.sent(3, 10, 1);
    expect(progress.isPaused()).toBe(true);
    progress.acknowledged(2, 0);
    expect(progress.isPaused()).toBe(false);
    expect(progress.rejected(3, 2)).toBe(true);
    expect(progress).toMatchObject({ state: 'probe', next: 3, match: 2 });
    expect(progress.inflights.count).toBe(0);
  });

  it('asks again when two heartbeats are answered and the match does not move', () => {
    const progress = progressAt(1);
    progress.acknowledged(1, 0);
    progress.sent(2, 10, 1);
    progress.heard(2);
    expect(progress.verify).toBe(false);
    progress.heard(2);
    expect(progress.verify).toBe(true);
    progress.sent(2, 0, 1);
    expect(progress.verify).toBe(false);
  });

  it('sends nothing while a state is on its way, and goes on behind it', () => {
    const progress = progressAt(5);
    expect(progress.becomeSnapshot()).toBe(true);
    expect(progress.isPaused()).toBe(true);
    progress.heard(20);
    expect(progress.isPaused()).toBe(true);
    expect(progress.rejected(4, 1)).toBe(false);
    progress.snapshotSent(10);
    expect(progress).toMatchObject({ state: 'probe', match: 0, next: 11 });
    expect(progress.isPaused()).toBe(true);
    progress.heard(20);
    expect(progress.isPaused()).toBe(false);
    progress.acknowledged(10, 8);
    expect(progress).toMatchObject({ state: 'replicate', match: 10, next: 11 });
  });

  it('goes on from the log as soon as the member has got to where it begins', () => {
    const progress = progressAt(5);
    progress.becomeSnapshot();
    progress.acknowledged(6, 8);
    expect(progress.state).toBe('snapshot');
    progress.acknowledged(8, 8);
    expect(progress).toMatchObject({ state: 'replicate', match: 8, next: 9 });
    progress.snapshotSent(7);
    expect(progress).toMatchObject({ state: 'replicate', match: 8, next: 9 });
  });

  it('asks for one state at a time, and again when the transfer has failed', () => {
    const progress = progressAt(5);
    expect(progress.becomeSnapshot()).toBe(true);
    progress.acknowledged(8, 8);
    expect(progress.becomeSnapshot()).toBe(false);
    progress.snapshotSent(0);
    expect(progress).toMatchObject({ state: 'probe', next: 9 });
    expect(progress.becomeSnapshot()).toBe(true);
  });
});
