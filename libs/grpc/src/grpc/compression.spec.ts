import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { acceptsGzip, DecompressionError, gunzip, gzip, parseEncoding } from './compression.js';

describe('message encodings', () => {
  it('gives back what it packed', () => {
    const message = Buffer.from('a'.repeat(10_000));
    expect(gzip(message).length).toBeLessThan(200);
    expect(Buffer.from(gunzip(gzip(message), 10_000)).equals(message)).toBe(true);
    expect(gunzip(gzip(new Uint8Array(0)), 1)).toHaveLength(0);
  });

  it('stops a bomb at the limit', () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => gunzip(bomb, 1_000_000)).toThrow(
      expect.objectContaining({
        isTooLarge: true,
        message: 'grpc: received message after decompression larger than max 1000000',
      }),
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    expect(() => gunzip(gzip(new Uint8Array(2)), 1)).toThrow(DecompressionError);
  });

  it('refuses what is no gzip', () => {
    expect(() => gunzip(Buffer.from('no gzip'), 100)).toThrow(expect.objectContaining({ isTooLarge: false }));
    const cut = gzip(Buffer.from('x'.repeat(100)));
    expect(() => gunzip(cut.subarray(0, cut.length - 5), 100)).toThrow(
      expect.objectContaining({ isTooLarge: false }),
    );
  });

  it('reads the headers that name encodings', () => {
    expect(parseEncoding(undefined)).toBe('identity');
    expect(parseEncoding('gzip')).toBe('gzip');
    expect(parseEncoding('snappy')).toBeUndefined();
    expect(acceptsGzip('identity, deflate, gzip')).toBe(true);
    expect(acceptsGzip('identity,gzipped')).toBe(false);
    expect(acceptsGzip(undefined)).toBe(false);
  });
});
