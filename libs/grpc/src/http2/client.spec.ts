import { describe, expect, it } from 'vitest';
import { FrameType } from './frame.js';
import { SettingId } from './settings.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

const client = (...entries: [number, number][]): Harness => new Harness('client').handshake(...entries);

describe('a client', () => {
  it('sends a request and takes an answer', () => {
    const peer = client();
    const stream = peer.open(wire.REQUEST_FIELDS);
    peer.connection.sendData(stream, Buffer.from('ping'), true);
    expect(peer.frames()).toEqual(['HEADERS 1', 'DATA 1 "ping" END']);
    peer.feed(wire.headers(1, wire.RESPONSE), wire.data(1, 'pong'), wire.headers(1, wire.TRAILERS, 5));
    expect(peer.log).toEqual(['headers 1', 'data 1 "pong"', 'trailers 1']);
    expect(peer.blocks.map((block) => block.kind)).toEqual(['response', 'trailers']);
    expect(stream.closed).toBe(true);
    expect(peer.connection.openStreams).toBe(0);
    expect(peer.open(wire.REQUEST_FIELDS).id).toBe(3);
  });

  it('stops sending a request that was answered completely', () => {
    const peer = client();
    peer.open(wire.REQUEST_FIELDS);
    peer.frames();
    peer.feed(wire.headers(1, wire.RESPONSE, 5));
    expect(peer.frames()).toEqual(['RST_STREAM 1 NO_ERROR']);
    expect(peer.log).toEqual(['headers 1 end']);
  });

  it('skips interim answers', () => {
    const peer = client();
    peer.open(wire.REQUEST_FIELDS, true);
    peer.feed(wire.headers(1, wire.block(':status', '103', 'link', 'x')), wire.headers(1, wire.RESPONSE));
    expect(peer.log).toEqual(['headers 1']);
    expect(peer.blocks[0].get(':status')).toBe('200');
  });

  it.each<[string, Buffer[], string]>([
    [
      'an interim answer that ends the stream',
      [wire.headers(1, wire.block(':status', '100'), 5)],
      'PROTOCOL_ERROR',
    ],
    ['data before headers', [wire.data(1, 'x')], 'PROTOCOL_ERROR'],
    ['a request as answer', [wire.headers(1)], 'PROTOCOL_ERROR'],
    ['two statuses', [wire.headers(1, wire.block(':status', '200', ':status', '200'))], 'PROTOCOL_ERROR'],
    ['a status that is no number', [wire.headers(1, wire.block(':status', '2x0'))], 'PROTOCOL_ERROR'],
    [
      'headers behind the end',
      [wire.headers(1, wire.RESPONSE), wire.headers(1, wire.RESPONSE)],
      'PROTOCOL_ERROR',
    ],
  ])('resets a stream with %s', (_title, octets, code) => {
    const peer = client();
    const stream = peer.open(wire.REQUEST_FIELDS);
    peer.frames();
    peer.feed(...octets);
    expect(peer.frames()).toEqual([`RST_STREAM 1 ${code}`]);
    expect(peer.log.at(-1)).toBe(`reset 1 ${code} local`);
    expect(stream.closed).toBe(true);
  });

  it.each<[string, Buffer[]]>([
    ['a stream of the server', [wire.headers(2, wire.RESPONSE)]],
    ['an answer to nothing', [wire.headers(1, wire.RESPONSE)]],
    ['a pushed stream', [wire.frame(FrameType.PUSH_PROMISE, 4, 1, wire.words(2))]],
    ['a server that enables push', [wire.settings([SettingId.ENABLE_PUSH, 1])]],
  ])('ends the connection at %s', (_title, octets) => {
    const peer = client();
    peer.feed(...octets);
    expect(peer.frames()).toEqual(['GOAWAY 0 PROTOCOL_ERROR']);
    expect(peer.log).toEqual(['closed PROTOCOL_ERROR local']);
  });

  it('refuses to end inside of its first octets', () => {
    const peer = new Harness('client');
    peer.feed(wire.ping());
    expect(peer.frames().at(-1)).toBe('GOAWAY 0 PROTOCOL_ERROR');
  });

  it('ignores what arrives for a stream that it has reset, and stays in step', () => {
    const peer = client();
    const stream = peer.open(wire.REQUEST_FIELDS);
    peer.connection.reset(stream, 8);
    expect(peer.frames()).toEqual(['HEADERS 1', 'RST_STREAM 1 CANCEL']);
    peer.feed(
      wire.headers(1, wire.RESPONSE),
      wire.data(1, 'late'),
      wire.windowUpdate(1, 5),
      wire.rstStream(1, 0),
      wire.headers(1, wire.TRAILERS, 5),
    );
    expect(peer.frames()).toEqual([]);
    expect(peer.log).toEqual([]);
    expect(peer.connection.isClosed).toBe(false);
  });

  it('is told of a reset, and its further calls for that stream do nothing', () => {
    const peer = client();
    const stream = peer.open(wire.REQUEST_FIELDS);
    peer.frames();
    peer.feed(wire.rstStream(1, 7));
    expect(peer.log).toEqual(['reset 1 REFUSED_STREAM peer']);
    expect(peer.connection.sendData(stream, Buffer.from('x'), false)).toBe(false);
    peer.connection.sendTrailers(stream, ['a', 'b']);
    peer.connection.reset(stream, 8);
    peer.connection.consumed(stream, 1);
    expect(peer.frames()).toEqual([]);
  });

  it('keeps to the streams that the server allows', () => {
    const peer = client([SettingId.MAX_CONCURRENT_STREAMS, 1]);
    expect(peer.connection.canOpenStream).toBe(true);
    peer.open(wire.REQUEST_FIELDS, true);
    expect(peer.connection.canOpenStream).toBe(false);
    expect(() => peer.open(wire.REQUEST_FIELDS)).toThrow(/cannot open/);
    peer.feed(wire.headers(1, wire.RESPONSE, 5));
    expect(peer.connection.canOpenStream).toBe(true);
  });

  it('splits a large header block into frames, without interruption', () => {
    const peer = client();
    peer.open([...wire.REQUEST_FIELDS, 'x-large', '~'.repeat(40_000)], true);
    expect(peer.frames()).toEqual(['HEADERS 1 END', 'CONTINUATION 1', 'CONTINUATION 1']);
  });

  it('refuses fields that are not octets, without opening a stream', () => {
    const peer = client();
    expect(() => peer.open(['bad', '\u4e2d'])).toThrow(RangeError);
    expect(peer.connection.openStreams).toBe(0);
    expect(peer.open(wire.REQUEST_FIELDS).id).toBe(1);
  });
});

describe('GOAWAY from the server', () => {
  it('gives up the streams that the server has not processed', () => {
    const peer = client();
    for (let i = 0; i < 3; i++) peer.open(wire.REQUEST_FIELDS, true);
    peer.feed(wire.goaway(3, 0, 'bye'));
    expect(peer.log).toEqual(['goaway 3 NO_ERROR bye', 'reset 5 REFUSED_STREAM goaway']);
    expect(peer.connection.canOpenStream).toBe(false);
    peer.feed(wire.headers(1, wire.RESPONSE, 5));
    expect(peer.log).not.toContain('drained');
    peer.feed(wire.headers(3, wire.RESPONSE, 5));
    expect(peer.log.at(-1)).toBe('drained');
  });

  it('a graceful one gives up nothing', () => {
    const peer = client();
    peer.open(wire.REQUEST_FIELDS, true);
    peer.feed(wire.goaway(0x7fffffff, 0));
    expect(peer.log).toEqual(['goaway 2147483647 NO_ERROR']);
  });
});
