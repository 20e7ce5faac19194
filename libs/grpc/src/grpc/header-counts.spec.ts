import { describe, expect, it } from 'vitest';
import { GrpcPair, text } from '../testing/grpc-pair.js';
import { type HeaderCount } from './header-counts.js';
import { type MetadataEntries } from './metadata.js';

const shown = (counts: readonly HeaderCount[]): string[] =>
  counts.map(({ kind, value, started }) => `${kind} ${value}: ${started}`).sort();

const version = 'client-api-version';

/** Calls that are answered, one for each header value; undefined: without the header. */
async function echo(pair: GrpcPair, values: readonly (string | undefined)[]): Promise<void> {
  for (const value of values) {
    const metadata: MetadataEntries = value === undefined ? {} : { [version]: value };
    await pair.outcome(pair.channel.unary('/t.T/Echo', text('a'), { metadata }));
  }
}

describe('calls by the value of a header', () => {
  it('are counted by kind, and those without it apart', async () => {
    const pair = await GrpcPair.create({ countCallsBy: version });
    await echo(pair, ['3.5', '3.6', undefined, '3.6']);
    pair.channel.stream('/t.T/Stream', { metadata: { [version]: '3.6' } });
    await pair.runtime.settle();
    expect(shown(pair.server.stats.callsByHeader)).toEqual([
      'stream 3.6: 1',
      'unary 3.5: 1',
      'unary 3.6: 2',
      'unary undefined: 1',
    ]);
  });

  it('count together when no header is named, and not at all when nobody serves the method', async () => {
    const pair = await GrpcPair.create();
    await echo(pair, ['3.5', undefined]);
    await expect(pair.outcome(pair.channel.unary('/t.T/Nothing', text('a')))).rejects.toThrow(
      'unknown method',
    );
    expect(shown(pair.server.stats.callsByHeader)).toEqual(['unary undefined: 2']);
  });

  it('stay few, whatever clients send', async () => {
    const pair = await GrpcPair.create({ countCallsBy: version });
    const values = Array.from({ length: 100 }, (_, i) => `v${i}`);
    await echo(pair, ['x'.repeat(65), ...values, 'v0']);
    const counts = shown(pair.server.stats.callsByHeader);
    expect(counts).toHaveLength(32);
    expect(counts).toContain('unary other: 70');
    expect(counts).toContain('unary v0: 2');
  });
});
