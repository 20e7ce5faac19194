import { describe, expect, it } from 'vitest';
import { BlockReader } from './block-reader.js';
import { BlockWriter, type HuffmanUse } from './block-writer.js';
import { HpackDecoder } from './decoder.js';
import { HpackEncoder } from './encoder.js';
import { type Indexing } from './field-policy.js';

/** The examples of RFC 7541 Appendix C, octet for octet and in both directions. */

const LIMITS = { tableSizeMax: 4096, headerListBytesMax: 16_384, stringBytesMax: 16_384 };

const REQUESTS = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [
    ':method',
    'GET',
    ':scheme',
    'http',
    ':path',
    '/',
    ':authority',
    'www.example.com',
    'cache-control',
    'no-cache',
  ],
  [
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
    ...['custom-key', 'custom-value'],
  ],
];

const RESPONSES = [
  [
    ...[':status', '302', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ...['location', 'https://www.example.com'],
  ],
  [
    ...[':status', '307', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ...['location', 'https://www.example.com'],
  ],
  [
    ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ...['location', 'https://www.example.com', 'content-encoding', 'gzip'],
    ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];

const C3 = [
  '828684410f7777772e6578616d706c652e636f6d',
  '828684be58086e6f2d6361636865',
  '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
];

const C4 = [
  '828684418cf1e3c2e5f23a6ba0ab90f4ff',
  '828684be5886a8eb10649cbf',
  '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
];

const C5 = [
  '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f777777' +
    '2e6578616d706c652e636f6d',
  '4803333037c1c0bf',
  '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f' +
    '5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
];

const C6 = [
  '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
  '4883640effc1c0bf',
  '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1' +
    'ab270fb5291f9587316065c003ed4ee5b1063d5007',
];

function integer(prefixBits: number, value: number): string {
  const writer = new BlockWriter();
  writer.integer(0, prefixBits, value);
  const octets = writer.copy();
  const reader = new BlockReader(100);
  reader.reset(octets, 0, octets.length);
  expect(reader.integer(prefixBits)).toBe(value);
  expect(reader.position).toBe(octets.length);
  return octets.toString('hex');
}

function encoded(encoder: HpackEncoder, fields: readonly string[]): string {
  encoder.encode(fields);
  return encoder.writer.copy().toString('hex');
}

function decoded(decoder: HpackDecoder, hex: string): string[] {
  const block = Buffer.from(hex, 'hex');
  return decoder.decode(block, 0, block.length);
}

describe('C.1 integers', () => {
  it('C.1.1 to C.1.3', () => {
    expect(integer(5, 10)).toBe('0a');
    expect(integer(5, 1337)).toBe('1f9a0a');
    expect(integer(8, 42)).toBe('2a');
  });
});

describe('C.2 one field in each representation', () => {
  const examples: [title: string, indexing: Indexing, fields: string[], hex: string, inserts: number][] = [
    [
      'C.2.1 literal with indexing',
      'incremental',
      ['custom-key', 'custom-header'],
      '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
      1,
    ],
    [
      'C.2.2 literal without indexing',
      'without',
      [':path', '/sample/path'],
      '040c2f73616d706c652f70617468',
      0,
    ],
    ['C.2.3 literal never indexed', 'never', ['password', 'secret'], '100870617373776f726406736563726574', 0],
    ['C.2.4 indexed', 'incremental', [':method', 'GET'], '82', 0],
  ];
  it.each(examples)('%s', (_title, indexing, fields, hex, inserts) => {
    expect(encoded(new HpackEncoder(4096, () => indexing, 'never'), fields)).toBe(hex);
    const decoder = new HpackDecoder(LIMITS);
    expect(decoded(decoder, hex)).toEqual(fields);
    expect(decoder.generation).toBe(inserts);
  });
});

describe.each<[title: string, blocks: string[], lists: string[][], tableSize: number, huffman: HuffmanUse]>([
  ['C.3 requests', C3, REQUESTS, 4096, 'never'],
  ['C.4 requests, Huffman coded', C4, REQUESTS, 4096, 'always'],
  ['C.5 responses with eviction', C5, RESPONSES, 256, 'never'],
  ['C.6 responses with eviction, Huffman coded', C6, RESPONSES, 256, 'always'],
])('%s', (_title, blocks, lists, tableSize, huffman) => {
  // The examples with eviction agree on a table of 256 octets beforehand; on the wire that takes a size update.
  const update = tableSize === 4096 ? '' : '3fe101';

  it('are encoded to the octets of the RFC', () => {
    const encoder = new HpackEncoder(tableSize, () => 'incremental', huffman);
    const hex = lists.map((fields) => encoded(encoder, fields));
    expect(hex).toEqual([update + blocks[0], ...blocks.slice(1)]);
  });

  it('are decoded from the octets of the RFC', () => {
    const decoder = new HpackDecoder(LIMITS);
    const fields = blocks.map((hex, i) => decoded(decoder, (i === 0 ? update : '') + hex));
    expect(fields).toEqual(lists);
  });
});
