import { describe, expect, it } from 'vitest';
import { sniff } from './sniff.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('sniff', () => {
  it('knows the HTTP/2 preface, also with frames behind it', () => {
    expect(sniff(bytes(preface))).toBe('http2');
    expect(sniff(bytes(`${preface}\0\0\0\x04`))).toBe('http2');
  });

  it('waits at every proper prefix of the preface', () => {
    for (let length = 0; length < preface.length; length++) {
      expect(sniff(bytes(preface.slice(0, length)))).toBe('undecided');
    }
  });

  it.each([
    'GET / HTTP/1.1\r\n',
    'POST /v3/kv/range HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'PUT /x',
    'M-SEARCH * HTTP/1.1',
    'PRI /x',
  ])('takes %j for HTTP/1', (text) => {
    expect(sniff(bytes(text))).toBe('http1');
  });

  it('waits while a method may still be one', () => {
    expect(sniff(bytes('POS'))).toBe('undecided');
    expect(sniff(bytes('GET '))).toBe('undecided');
  });

  it.each([
    '\x16\x03\x01\x02\x00\x01',
    ' GET /',
    'get / HTTP/1.1',
    'A'.repeat(40),
    'GET \r\n',
    '\0',
    'SSH-2.0-x',
  ])('refuses %j', (text) => {
    expect(sniff(bytes(text))).toBe('garbage');
  });
});
