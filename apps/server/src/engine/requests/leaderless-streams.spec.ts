import { describe, expect, it } from 'vitest';
import { LeaderlessStreams } from './leaderless-streams.js';
import type { ResponseStream, StreamMethod } from './method.js';

function setup(): {
  readonly streams: LeaderlessStreams;
  readonly seen: string[];
  open(name: string): ReturnType<LeaderlessStreams['guard']>;
  /** Ends the stream that was opened last, as its method does. */
  endByMethod(): void;
} {
  const streams = new LeaderlessStreams(3_000);
  const seen: string[] = [];
  let inner: ResponseStream | undefined;
  const method = (name: string): StreamMethod => ({
    kind: 'stream',
    open: (_context, responses) => {
      inner = responses;
      return { message() {}, halfClose() {}, cancel: () => void seen.push(`${name} cancelled`) };
    },
  });
  const context = { token: undefined, requireLeader: true, onCancel: undefined };
  return {
    streams,
    seen,
    open: (name) =>
      streams.guard(method(name), context, {
        send: () => true,
        end: (error) => void seen.push(`${name} ended ${error?.reason ?? 'well'}`),
        onDrain: undefined,
      }),
    endByMethod: () => inner!.end(undefined),
  };
}

describe('LeaderlessStreams', () => {
  it('cuts all streams when no leader was known for so long, and only then', () => {
    const { streams, seen, open } = setup();
    open('a');
    open('b');
    streams.tick(0n, 1_000);
    streams.tick(7n, 3_900);
    streams.tick(0n, 4_000);
    streams.tick(0n, 6_999);
    expect(seen).toEqual([]);
    streams.tick(0n, 7_000);
    streams.tick(0n, 8_000);
    expect(seen).toEqual(['a cancelled', 'a ended NoLeader', 'b cancelled', 'b ended NoLeader']);
  });

  it('leaves alone what ended before', () => {
    const { streams, seen, open, endByMethod } = setup();
    open('a');
    endByMethod();
    open('b').cancel();
    streams.tick(0n, 0);
    streams.tick(0n, 3_000);
    expect(seen).toEqual(['a ended well', 'b cancelled']);
  });
});
