import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contains, parseBlock } from './address.js';
import { bucketOf, buckets, isInShare, murmur3 } from './bucket.js';
import { type GrayMatch } from './gray-rule.js';
import { chooseGray, type InstanceTraits, matches } from './match.js';

const traits: InstanceTraits = {
  instanceId: 'pod-1',
  labels: { zone: 'a', version: '2' },
  address: '10.1.2.3',
};

describe('the bucket of an instance', () => {
  it('is what it has always been', () => {
    const golden = JSON.parse(
      readFileSync(new URL('../../testdata/buckets.json', import.meta.url), 'utf8'),
    ) as readonly [string, string, number][];
    expect(golden.length).toBeGreaterThan(15);
    for (const [salt, name, bucket] of golden)
      expect([salt, name, bucketOf(salt, name)]).toEqual([salt, name, bucket]);
  });

  it('comes from MurmurHash3, by its published values', () => {
    const of = (text: string): number => murmur3(new TextEncoder().encode(text));
    expect(of('')).toBe(0);
    expect(of('test')).toBe(0xba6bd213);
    expect(of('Hello, world!')).toBe(0xc0363e43);
    expect(of('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723);
  });

  it('keeps everyone who was in when the share grows', () => {
    const share = fc.integer({ min: 0, max: 10_000 }).map((n) => n / 100);
    fc.assert(
      fc.property(fc.string(), share, share, (name, a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        const bucket = bucketOf('salt', name);
        expect(bucket).toBeLessThan(buckets);
        expect(!isInShare(bucket, less) || isInShare(bucket, more)).toBe(true);
        expect(isInShare(bucket, 0)).toBe(false);
        expect(isInShare(bucket, 100)).toBe(true);
      }),
    );
  });

  it('spreads instances evenly, and differently for another salt', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `worker-${i}`);
    const inA = names.filter((name) => isInShare(bucketOf('a', name), 10));
    const inBoth = inA.filter((name) => isInShare(bucketOf('b', name), 10));
    expect(Math.abs(inA.length - 2_000)).toBeLessThan(200);
    expect(Math.abs(inBoth.length - 200)).toBeLessThan(70);
  });
});

describe('addresses', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['fd00::/8', 'fd12:3456::1', true],
    ['fd00::/8', 'fe00::1', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['10.0.0.0/8', '::ffff:10.9.9.9', true],
    ['::/0', '10.0.0.1', false],
    ['fe80::1', 'fe80::1%eth0', true],
  ])('%s contains %s: %s', (block, address, expected) => {
    const [a, b] = [parseBlock(block), parseBlock(address)];
    expect(a !== undefined && b !== undefined && contains(a, b)).toBe(expected);
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.0/33',
    '10.0.0.1/8',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    'x',
  ])('refuses %j', (text) => {
    expect(parseBlock(text)).toBeUndefined();
  });
});

describe('gray rules', () => {
  it.each<[GrayMatch, boolean]>([
    [{ labels: { zone: ['b', 'a'] } }, true],
    [{ labels: { zone: ['a'], version: ['1'] } }, false],
    [{ labels: { toString: ['a'] } }, false],
    [{ instances: ['pod-1'] }, true],
    [{ instances: ['pod-2'], labels: { zone: ['a'] } }, false],
    [{ addresses: ['192.168.0.0/16', '10.0.0.0/8'] }, true],
    [{ addresses: ['192.168.0.0/16'] }, false],
    [{ percentage: { share: 100 } }, true],
    [{ percentage: { share: 100, by: 'pod' } }, false],
    [{ percentage: { share: 0 } }, false],
  ])('%j matches: %s', (match, expected) => {
    expect(matches('rule', match, traits)).toBe(expected);
  });

  it('an instance without an address matches no rule by address', () => {
    expect(matches('r', { addresses: ['0.0.0.0/0'] }, { ...traits, address: undefined })).toBe(false);
  });

  it('the highest priority wins, then the first name, in any order', () => {
    const everyone: GrayMatch = { percentage: { share: 100 } };
    const rules: [string, { priority: number; match: GrayMatch }][] = [
      ['b', { priority: 5, match: everyone }],
      ['c', { priority: 9, match: { instances: ['other'] } }],
      ['a', { priority: 5, match: everyone }],
      ['z', { priority: 1, match: everyone }],
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray([...rules], { minLength: 4, maxLength: 4 }), (order) => {
        expect(chooseGray(new Map(order), traits)?.rule).toBe('a');
      }),
    );
    expect(chooseGray(new Map(rules.slice(1, 2)), traits)).toBeUndefined();
  });
});
