import { type StreamCall } from '@conclave/grpc';
import { describe, expect, it } from 'vitest';
import { IncomingStreams } from './incoming-streams.js';
import { type Introduction } from './introduction.js';
import { type Lane } from './message-kinds.js';

const silenceMs = 100;
const here = ['http://10.0.0.1:2380', 'http://localhost:2380'];
const there = ['http://10.0.0.2:2380'];

function introduction(peerUrls: readonly string[], lane: Lane = 'urgent', from = 1n): Introduction {
  return { clusterId: 5n, from, to: 2n, peerUrls, lane };
}

function call(): StreamCall {
  return {} as StreamCall;
}

function open(): { streams: IncomingStreams; after: (ms: number) => void } {
  let now = 1_000;
  return { streams: new IncomingStreams(() => now, silenceMs), after: (ms) => void (now += ms) };
}

describe('streams of a member that connects anew', () => {
  it('take the place of those of the same lane, and of all when it moved', () => {
    const { streams } = open();
    const [urgent, bulk, next, moved] = [call(), call(), call(), call()];
    expect(streams.add(introduction(here), urgent)).toEqual([]);
    expect(streams.add(introduction(here, 'bulk'), bulk)).toEqual([]);
    const reordered = ['http://127.0.0.1:2380/', 'http://10.0.0.1:2380'];
    expect(streams.contest(introduction(reordered))).toBeUndefined();
    expect(streams.add(introduction(reordered), next)).toEqual([urgent]);
    expect(streams.add(introduction(there), moved)).toEqual([next, bulk]);
    expect(streams.urlsOf(1n)).toEqual(there);
  });

  it('are not forgotten when those end whose place they took', () => {
    const { streams } = open();
    const [before, after] = [call(), call()];
    streams.add(introduction(here), before);
    streams.add(introduction(here), after);
    streams.delete(introduction(here), before);
    expect(streams.urlsOf(1n)).toEqual(here);
    streams.delete(introduction(here), after);
    expect(streams.urlsOf(1n)).toBeUndefined();
  });

  it('are given up for the members that are meant, and no others', () => {
    const { streams } = open();
    const [one, other] = [call(), call()];
    streams.add(introduction(here), one);
    streams.add(introduction(there, 'urgent', 3n), other);
    expect(streams.take((member) => member === 3n)).toEqual([other]);
    expect([streams.urlsOf(1n), streams.urlsOf(3n)]).toEqual([here, undefined]);
  });
});

describe('a caller under an id that is in use at other URLs', () => {
  it('is known as a second process only when the first outlived the time in which a dead one is found', () => {
    const { streams, after } = open();
    expect(streams.contest(introduction(there))).toBeUndefined();
    streams.add(introduction(here), call());
    expect(streams.contest(introduction(there))).toBe('undecided');
    after(silenceMs);
    expect(streams.contest(introduction(there, 'bulk'))).toBe('undecided');
    after(1);
    expect(streams.contest(introduction(there))).toBe('proven');
    expect(streams.contest(introduction(here))).toBeUndefined();
  });

  it('is judged anew when none called for that time: the first may have died since', () => {
    const { streams, after } = open();
    streams.add(introduction(here), call());
    streams.contest(introduction(there));
    after(silenceMs + 1);
    expect(streams.contest(introduction(there))).toBe('undecided');
  });

  it('is welcome as soon as the streams of the first are gone', () => {
    const { streams } = open();
    const [urgent, bulk] = [call(), call()];
    streams.add(introduction(here), urgent);
    streams.add(introduction(here, 'bulk'), bulk);
    streams.delete(introduction(here), urgent);
    expect(streams.contest(introduction(there))).toBe('undecided');
    streams.delete(introduction(here, 'bulk'), bulk);
    expect(streams.contest(introduction(there))).toBeUndefined();
  });
});
