import { describe, expect, it } from 'vitest';
import { type ErrorCode } from './error-code.js';
import { CLIENT_PREFACE, FrameType } from './frame.js';
import { SettingId } from './settings.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

/** Rules of RFC 9113, sections 3 to 8, each broken once; the answer names the error code and its reach. */

type Case = [title: string, octets: Buffer[], answer: string[]];

const PAD = 0x8;
const PRIORITY = 0x20;
const GET = [':method', 'GET', ':scheme', 'http', ':path', '/'];
const dead = (code: keyof typeof ErrorCode, last = 0): string => `GOAWAY ${last} ${code}`;
const rst = (code: keyof typeof ErrorCode, id = 1): string => `RST_STREAM ${id} ${code}`;
const request = (...fields: string[]): Buffer => wire.headers(1, wire.block(...fields), 0x5);
const continuation = (id: number, octets: Buffer, flags = 0x4): Buffer =>
  wire.frame(FrameType.CONTINUATION, flags, id, octets);
const repeat = (octet: number, length: number): Buffer => Buffer.alloc(length, octet);

const FRAMES: Case[] = [
  [
    '4.1 unknown types and flags are ignored',
    [wire.frame(0x77, 0xff, 1, repeat(1, 8)), wire.ping(0xfe)],
    ['PING ACK'],
  ],
  ['4.1 the reserved bit is ignored', [wire.ping(), Buffer.from(wire.headers(0x80000001))], ['PING ACK']],
  [
    '4.2 a frame larger than MAX_FRAME_SIZE',
    [wire.headers(1), wire.data(1, repeat(0, 16_385))],
    [dead('FRAME_SIZE_ERROR', 1)],
  ],
  ['4.2 a frame of MAX_FRAME_SIZE', [wire.headers(1), wire.data(1, repeat(0, 16_384))], []],
  [
    '4.3 a header block that cannot be decoded',
    [wire.headers(1, repeat(0x80, 1))],
    [dead('COMPRESSION_ERROR')],
  ],
  [
    '4.3 PRIORITY inside of a header block',
    [wire.headers(1, wire.REQUEST, 0), wire.frame(FrameType.PRIORITY, 0, 1, repeat(0, 5))],
    [dead('PROTOCOL_ERROR')],
  ],
  [
    '4.3 HEADERS of another stream inside of a header block',
    [wire.headers(1, wire.REQUEST, 0), wire.headers(3)],
    [dead('PROTOCOL_ERROR')],
  ],
];

const STREAM_STATES: Case[] = [
  ['5.1 idle: DATA', [wire.data(1, 'x')], [dead('PROTOCOL_ERROR')]],
  ['5.1 idle: RST_STREAM', [wire.rstStream(1, 8)], [dead('PROTOCOL_ERROR')]],
  ['5.1 idle: WINDOW_UPDATE', [wire.windowUpdate(1, 1)], [dead('PROTOCOL_ERROR')]],
  ['5.1 idle: CONTINUATION', [continuation(1, wire.REQUEST)], [dead('PROTOCOL_ERROR')]],
  ['5.1 half-closed: DATA', [wire.headers(1, wire.REQUEST, 5), wire.data(1, 'x')], [rst('STREAM_CLOSED')]],
  ['5.1 half-closed: HEADERS', [wire.headers(1, wire.REQUEST, 5), wire.headers(1)], [rst('STREAM_CLOSED')]],
  [
    '5.1 half-closed: WINDOW_UPDATE is in order',
    [wire.headers(1, wire.REQUEST, 5), wire.windowUpdate(1, 9)],
    [],
  ],
  [
    '5.1 closed by the peer: DATA',
    [wire.headers(1), wire.rstStream(1, 8), wire.data(1, 'x')],
    [rst('STREAM_CLOSED')],
  ],
  [
    '5.1 closed by the peer: HEADERS',
    [wire.headers(1), wire.rstStream(1, 8), wire.headers(1)],
    [dead('STREAM_CLOSED', 1)],
  ],
  [
    '5.1 closed by the peer: WINDOW_UPDATE is in order',
    [wire.headers(1), wire.rstStream(1, 8), wire.windowUpdate(1, 1)],
    [],
  ],
  [
    '5.1 closed by us: late trailers, once',
    [
      wire.headers(1),
      wire.windowUpdate(1, 0),
      wire.headers(1, wire.TRAILERS, 5),
      wire.headers(1, wire.TRAILERS, 5),
    ],
    [rst('PROTOCOL_ERROR'), dead('STREAM_CLOSED', 1)],
  ],
  ['5.1.1 even stream identifier', [wire.headers(2)], [dead('PROTOCOL_ERROR')]],
  [
    '5.1.1 stream identifier below the last one',
    [wire.headers(5), wire.headers(3)],
    [dead('PROTOCOL_ERROR', 5)],
  ],
];

const FRAME_DEFINITIONS: Case[] = [
  ['6.1 DATA on stream 0', [wire.data(0, 'x')], [dead('PROTOCOL_ERROR')]],
  [
    '6.1 more padding than content',
    [wire.headers(1), wire.data(1, Buffer.of(5, 1, 1, 1, 1), PAD)],
    [dead('PROTOCOL_ERROR', 1)],
  ],
  ['6.1 padded without a length', [wire.headers(1), wire.data(1, '', PAD)], [dead('FRAME_SIZE_ERROR', 1)]],
  ['6.2 HEADERS on stream 0', [wire.headers(0)], [dead('PROTOCOL_ERROR')]],
  [
    '6.2 more padding than content',
    [wire.headers(1, Buffer.concat([Buffer.of(200), wire.REQUEST]), 4 | PAD)],
    [dead('PROTOCOL_ERROR')],
  ],
  [
    '6.2 too short for its priority',
    [wire.headers(1, repeat(0, 4), 4 | PRIORITY)],
    [dead('FRAME_SIZE_ERROR')],
  ],
  [
    '6.3 PRIORITY on stream 0',
    [wire.frame(FrameType.PRIORITY, 0, 0, repeat(0, 5))],
    [dead('PROTOCOL_ERROR')],
  ],
  [
    '6.3 PRIORITY of 4 octets',
    [wire.headers(1), wire.frame(FrameType.PRIORITY, 0, 1, repeat(0, 4))],
    [rst('FRAME_SIZE_ERROR')],
  ],
  ['6.3 PRIORITY is ignored, also on idle streams', [wire.frame(FrameType.PRIORITY, 0, 9, repeat(0, 5))], []],
  ['6.4 RST_STREAM on stream 0', [wire.rstStream(0, 8)], [dead('PROTOCOL_ERROR')]],
  [
    '6.4 RST_STREAM of 3 octets',
    [wire.headers(1), wire.frame(FrameType.RST_STREAM, 0, 1, repeat(0, 3))],
    [dead('FRAME_SIZE_ERROR', 1)],
  ],
  ['6.5 SETTINGS on a stream', [wire.frame(FrameType.SETTINGS, 0, 1)], [dead('PROTOCOL_ERROR')]],
  [
    '6.5 SETTINGS of 5 octets',
    [wire.frame(FrameType.SETTINGS, 0, 0, repeat(0, 5))],
    [dead('FRAME_SIZE_ERROR')],
  ],
  [
    '6.5 acknowledgement with content',
    [wire.frame(FrameType.SETTINGS, 1, 0, repeat(0, 6))],
    [dead('FRAME_SIZE_ERROR')],
  ],
  ['6.5.2 ENABLE_PUSH 2', [wire.settings([SettingId.ENABLE_PUSH, 2])], [dead('PROTOCOL_ERROR')]],
  [
    '6.5.2 INITIAL_WINDOW_SIZE 2^31',
    [wire.settings([SettingId.INITIAL_WINDOW_SIZE, 2 ** 31])],
    [dead('FLOW_CONTROL_ERROR')],
  ],
  [
    '6.5.2 MAX_FRAME_SIZE too small',
    [wire.settings([SettingId.MAX_FRAME_SIZE, 16_383])],
    [dead('PROTOCOL_ERROR')],
  ],
  [
    '6.5.2 MAX_FRAME_SIZE too large',
    [wire.settings([SettingId.MAX_FRAME_SIZE, 2 ** 24])],
    [dead('PROTOCOL_ERROR')],
  ],
  ['6.5.2 unknown settings are ignored', [wire.settings([0xff, 1])], ['SETTINGS ACK']],
  [
    '6.6 PUSH_PROMISE',
    [wire.headers(1), wire.frame(FrameType.PUSH_PROMISE, 4, 1, wire.words(2))],
    [dead('PROTOCOL_ERROR', 1)],
  ],
  ['6.7 PING is answered', [wire.ping()], ['PING ACK']],
  ['6.7 PING on a stream', [wire.frame(FrameType.PING, 0, 1, repeat(0, 8))], [dead('PROTOCOL_ERROR')]],
  ['6.7 PING of 6 octets', [wire.ping(0, repeat(0, 6))], [dead('FRAME_SIZE_ERROR')]],
  ['6.7 an unasked acknowledgement is ignored', [wire.ping(1)], []],
  ['6.8 GOAWAY on a stream', [wire.frame(FrameType.GOAWAY, 0, 1, repeat(0, 8))], [dead('PROTOCOL_ERROR')]],
  ['6.8 GOAWAY of 7 octets', [wire.frame(FrameType.GOAWAY, 0, 0, repeat(0, 7))], [dead('FRAME_SIZE_ERROR')]],
  ['6.9 WINDOW_UPDATE of 0 on the connection', [wire.windowUpdate(0, 0)], [dead('PROTOCOL_ERROR')]],
  ['6.9 WINDOW_UPDATE of 0 on a stream', [wire.headers(1), wire.windowUpdate(1, 0)], [rst('PROTOCOL_ERROR')]],
  [
    '6.9 WINDOW_UPDATE of 3 octets',
    [wire.frame(FrameType.WINDOW_UPDATE, 0, 0, repeat(0, 3))],
    [dead('FRAME_SIZE_ERROR')],
  ],
  ['6.9.1 connection window above 2^31-1', [wire.windowUpdate(0, 0x7fffffff)], [dead('FLOW_CONTROL_ERROR')]],
  [
    '6.9.1 stream window above 2^31-1',
    [wire.headers(1), wire.windowUpdate(1, 0x7fffffff)],
    [rst('FLOW_CONTROL_ERROR')],
  ],
  [
    '6.9.2 a new initial window lifts a stream above 2^31-1',
    [
      wire.headers(1),
      wire.windowUpdate(1, 0x7fff0000 - 65_535),
      wire.settings([SettingId.INITIAL_WINDOW_SIZE, 0x7fffffff]),
    ],
    [dead('FLOW_CONTROL_ERROR', 1)],
  ],
  [
    '6.10 CONTINUATION completes a block',
    [
      wire.headers(1, wire.REQUEST.subarray(0, 3), 0),
      continuation(1, wire.REQUEST.subarray(3, 9), 0),
      continuation(1, wire.REQUEST.subarray(9)),
    ],
    [],
  ],
  [
    '6.10 CONTINUATION behind END_HEADERS',
    [wire.headers(1), continuation(1, wire.REQUEST)],
    [dead('PROTOCOL_ERROR', 1)],
  ],
  [
    '6.10 CONTINUATION of another stream',
    [wire.headers(1, wire.REQUEST, 0), continuation(3, wire.REQUEST)],
    [dead('PROTOCOL_ERROR')],
  ],
];

const MESSAGES: Case[] = [
  [
    '8.1 trailers without END_STREAM',
    [wire.headers(1), wire.headers(1, wire.TRAILERS)],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.1 trailers with pseudo-header fields',
    [wire.headers(1), wire.headers(1, wire.REQUEST, 5)],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.1.1 less content than content-length',
    [wire.headers(1, wire.block(...GET, 'content-length', '2')), wire.data(1, 'a', 1)],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.1.1 more content than content-length',
    [wire.headers(1, wire.block(...GET, 'content-length', '2')), wire.data(1, 'a'), wire.data(1, 'bc')],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.1.1 trailers before content-length is reached',
    [wire.headers(1, wire.block(...GET, 'content-length', '2')), wire.headers(1, wire.TRAILERS, 5)],
    [rst('PROTOCOL_ERROR')],
  ],
  ['8.1.1 content-length without content', [request(...GET, 'content-length', '2')], [rst('PROTOCOL_ERROR')]],
  [
    '8.1.1 content as long as content-length',
    [wire.headers(1, wire.block(...GET, 'content-length', '2')), wire.data(1, 'ab', 1)],
    [],
  ],
  [
    '8.1.1 content-length twice with different values',
    [request(...GET, 'content-length', '0', 'content-length', '1')],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.1.1 content-length that is no number',
    [request(...GET, 'content-length', '0x0')],
    [rst('PROTOCOL_ERROR')],
  ],
  ['8.2 upper case in a name', [request(...GET, 'X-Name', 'v')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 empty name', [request(...GET, '', 'v')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 space in a name', [request(...GET, 'a b', 'v')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 colon in a name', [request(...GET, 'a:b', 'v')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 line feed in a value', [request(...GET, 'a', 'b\nc')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 NUL in a value', [request(...GET, 'a', 'b\0c')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 space at the end of a value', [request(...GET, 'a', 'b ')], [rst('PROTOCOL_ERROR')]],
  ['8.2.1 octets above 0x7f in a value are in order', [request(...GET, 'a', 'caf\u00e9')], []],
  ['8.2.2 connection', [request(...GET, 'connection', 'close')], [rst('PROTOCOL_ERROR')]],
  ['8.2.2 transfer-encoding', [request(...GET, 'transfer-encoding', 'chunked')], [rst('PROTOCOL_ERROR')]],
  ['8.2.2 te other than trailers', [request(...GET, 'te', 'gzip')], [rst('PROTOCOL_ERROR')]],
  ['8.2.2 te: trailers', [request(...GET, 'te', 'trailers')], []],
  ['8.3 unknown pseudo-header field', [request(...GET, ':test', 'x')], [rst('PROTOCOL_ERROR')]],
  [
    '8.3 response pseudo-header field in a request',
    [request(...GET, ':status', '200')],
    [rst('PROTOCOL_ERROR')],
  ],
  [
    '8.3 pseudo-header field behind a regular one',
    [request(':method', 'GET', ':scheme', 'http', 'a', 'b', ':path', '/')],
    [rst('PROTOCOL_ERROR')],
  ],
  ['8.3.1 empty :path', [request(':method', 'GET', ':scheme', 'http', ':path', '')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 no :method', [request(':scheme', 'http', ':path', '/')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 no :scheme', [request(':method', 'GET', ':path', '/')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 no :path', [request(':method', 'GET', ':scheme', 'http')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 :method twice', [request(...GET, ':method', 'GET')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 :path twice', [request(...GET, ':path', '/')], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 a response as request', [wire.headers(1, wire.RESPONSE)], [rst('PROTOCOL_ERROR')]],
  ['8.3.1 a block without any field', [wire.headers(1, Buffer.alloc(0))], [rst('PROTOCOL_ERROR')]],
  [
    '8.5 CONNECT with :path',
    [request(':method', 'CONNECT', ':authority', 'a:1', ':scheme', 'http', ':path', '/')],
    [rst('PROTOCOL_ERROR')],
  ],
  ['8.5 CONNECT', [request(':method', 'CONNECT', ':authority', 'a:1')], []],
];

describe.each<[string, Case[]]>([
  ['section 4: frames', FRAMES],
  ['section 5: streams', STREAM_STATES],
  ['section 6: frame definitions', FRAME_DEFINITIONS],
  ['section 8: messages', MESSAGES],
])('RFC 9113 %s', (_section, cases) => {
  it.each(cases)('%s', (_title, octets, answer) => {
    const server = new Harness('server').handshake().feed(...octets);
    expect(server.frames()).toEqual(answer);
    expect(server.connection.isClosed).toBe(answer.some((frame) => frame.startsWith('GOAWAY')));
  });

  it.each(cases)('%s, octet by octet', (_title, octets, answer) => {
    const server = new Harness('server').handshake();
    for (const octet of Buffer.concat(octets)) server.feed(Buffer.of(octet));
    expect(server.frames()).toEqual(answer);
  });
});

describe('RFC 9113 section 3.4: preface', () => {
  it('a server sends SETTINGS first and takes the preface in any pieces', () => {
    const server = new Harness('server');
    expect(server.frames()).toEqual(['SETTINGS', `WINDOW_UPDATE 0 ${4 * 1024 * 1024 - 65_535}`]);
    for (const octet of CLIENT_PREFACE) server.feed(Buffer.of(octet));
    server.feed(wire.settings());
    expect(server.frames()).toEqual(['SETTINGS ACK']);
    expect(server.log).toEqual(['settings']);
  });

  it('a client sends the preface and SETTINGS first', () => {
    const octets = new Harness('client').take();
    expect(octets.subarray(0, 24).equals(CLIENT_PREFACE)).toBe(true);
    expect(wire.parseFrames(octets.subarray(24))[0].type).toBe(FrameType.SETTINGS);
  });

  it.each<[string, Buffer[]]>([
    ['HTTP/1.1', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['another first frame', [CLIENT_PREFACE, wire.ping()]],
    ['an acknowledgement as first frame', [CLIENT_PREFACE, wire.SETTINGS_ACK]],
  ])('a server refuses %s', (_title, octets) => {
    const server = new Harness('server').feed(...octets);
    expect(server.frames().at(-1)).toBe('GOAWAY 0 PROTOCOL_ERROR');
    expect(server.log).toEqual(['closed PROTOCOL_ERROR local']);
    expect(server.feed(wire.settings()).frames()).toEqual([]);
  });
});
