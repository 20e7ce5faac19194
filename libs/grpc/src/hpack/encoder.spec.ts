import { describe, expect, it } from 'vitest';
import { HpackDecoder } from './decoder.js';
import { HpackEncoder } from './encoder.js';
import { PreparedHeaders } from './prepared-headers.js';

const LIMITS = { tableSizeMax: 4096, headerListBytesMax: 100_000, stringBytesMax: 100_000 };
const REQUEST = [
  ':method',
  'POST',
  ':path',
  '/etcdserverpb.KV/Put',
  'te',
  'trailers',
  'content-type',
  'application/grpc',
];

class Pair {
  readonly decoder = new HpackDecoder(LIMITS);

  constructor(readonly encoder = new HpackEncoder()) {}

  /** Encodes, decodes, and returns the octets; the fields must be the same. */
  send(headers: PreparedHeaders | readonly string[], extra?: readonly string[]): Buffer {
    this.encoder.encode(headers, extra);
    const octets = this.encoder.writer.copy();
    const fields = headers instanceof PreparedHeaders ? headers.fields : headers;
    expect(this.decoder.decode(octets, 0, octets.length)).toEqual([...fields, ...(extra ?? [])]);
    return octets;
  }
}

describe('HpackEncoder', () => {
  it('sends a list for the second time as indexes', () => {
    const pair = new Pair();
    pair.send(REQUEST);
    expect(pair.send(REQUEST)).toHaveLength(4);
  });

  it.each(['authorization', 'token', 'cookie', 'proxy-authorization', 'set-cookie'])(
    'never indexes %s',
    (name) => {
      const pair = new Pair();
      for (let i = 0; i < 2; i++) {
        const octets = pair.send([name, 'secret']);
        expect(octets[0] & 0xf0).toBe(0x10);
        expect(octets.length).toBeGreaterThan(5);
      }
      expect(pair.decoder.generation).toBe(0);
      expect(new PreparedHeaders([name, 'secret']).bytes[0] & 0xf0).toBe(0x10);
    },
  );

  it('does not insert values that hardly come twice, nor those that would fill the table', () => {
    const pair = new Pair();
    pair.send(['grpc-timeout', '5S', 'grpc-message', 'lost', 'x', 'y'.repeat(3000)]);
    expect(pair.decoder.generation).toBe(0);
  });

  it('keeps in step while entries are evicted', () => {
    const pair = new Pair();
    for (let i = 0; i < 500; i++) {
      pair.send([`name-${i % 70}`, `value-${i % 110}`, 'same', 'same', `name-${i % 3}`, 'z'.repeat(i % 200)]);
    }
  });

  it('announces a smaller table of the peer, and the smallest of several', () => {
    const pair = new Pair();
    pair.send(REQUEST);
    pair.encoder.setPeerTableSize(0);
    pair.encoder.setPeerTableSize(1000);
    expect(pair.encoder.owesSizeUpdate).toBe(true);
    const octets = pair.send(REQUEST);
    expect(octets.subarray(0, 4).toString('hex')).toBe('203fc907');
    expect(pair.encoder.owesSizeUpdate).toBe(false);
    pair.send(REQUEST);
  });

  it('does not use more than its own limit, whatever the peer allows', () => {
    const pair = new Pair(new HpackEncoder(100));
    expect(pair.send(['a', 'b']).subarray(0, 2).toString('hex')).toBe('3f45');
    pair.encoder.setPeerTableSize(65_536);
    expect(pair.encoder.owesSizeUpdate).toBe(false);
  });

  it('without a table sends literals only', () => {
    const pair = new Pair(new HpackEncoder(0));
    for (let i = 0; i < 3; i++) pair.send(REQUEST);
    expect(pair.decoder.generation).toBe(1);
  });

  it('refuses what is not latin1, before anything is encoded', () => {
    const pair = new Pair();
    pair.send(['a', 'b']);
    expect(() => pair.encoder.encode(['new', 'value', 'bad', 'line\u010abreak'])).toThrow(RangeError);
    expect(() => pair.encoder.encode(['odd'])).toThrow(RangeError);
    expect(() => new PreparedHeaders(['bad', '\u{1f600}'])).toThrow(RangeError);
    pair.send(['new', 'value']);
    pair.send(['a', 'b']);
  });
});

describe('PreparedHeaders', () => {
  it('insert nothing and mean the same at any time', () => {
    const pair = new Pair();
    const prepared = new PreparedHeaders([':status', '200', 'content-type', 'application/grpc']);
    expect(pair.send(prepared)).toEqual(prepared.bytes);
    pair.send(REQUEST);
    const generation = pair.decoder.generation;
    expect(pair.send(prepared)).toEqual(prepared.bytes);
    expect(pair.decoder.generation).toBe(generation);
    pair.send(prepared, ['grpc-status', '0']);
  });

  it('may be indexed: short from the second time on, also after others were inserted', () => {
    const pair = new Pair();
    const prepared = new PreparedHeaders(REQUEST, true);
    pair.send(prepared, ['grpc-timeout', '1S']);
    expect(pair.send(prepared)).toHaveLength(4);
    expect(pair.send(prepared)).toHaveLength(4);
    pair.send(['other', 'field']);
    expect(pair.send(prepared)).toHaveLength(4);
    expect(pair.send(prepared, ['grpc-timeout', '2S']).length).toBeGreaterThan(4);
    pair.encoder.setPeerTableSize(0);
    pair.send(prepared);
    pair.send(prepared);
  });
});
