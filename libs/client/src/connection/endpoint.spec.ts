import { describe, expect, it } from 'vitest';
import { parseEndpoint } from './endpoint.js';

describe('endpoints', () => {
  it.each([
    ['http://127.0.0.1:2379', '127.0.0.1', 2379, 'http'],
    ['https://etcd.example.org:443/', 'etcd.example.org', 443, 'https'],
    ['localhost:1', 'localhost', 1, undefined],
    ['localhost', 'localhost', 2379, undefined],
    ['http://[::1]:2379', '::1', 2379, 'http'],
  ])('%s', (text, host, port, scheme) => {
    expect(parseEndpoint(text)).toEqual({ host, port, scheme });
  });

  it.each(['', 'ftp://a:1', 'a:0', 'a:65536', 'a:b', 'http://a/path', 'a b:1', '::1', 'user@a:1'])(
    'refuses %s',
    (text) => {
      expect(() => parseEndpoint(text)).toThrow('is no address');
    },
  );
});
