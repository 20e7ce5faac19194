import { describe, expect, it } from 'vitest';
import { PreparedHeaders } from '../hpack/prepared-headers.js';
import { ErrorCode } from './error-code.js';
import { type HeaderBlock } from './header-block.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

const OK = new PreparedHeaders([':status', '200', 'content-type', 'application/grpc']);
const DONE = new PreparedHeaders(['grpc-status', '0']);
const PREFIX = Buffer.of(0, 0, 0, 0, 3);

describe('the streams of a server', () => {
  it('answers with headers, data and trailers', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1), wire.data(1, 'ask', 1));
    expect(server.log).toEqual(['headers 1', 'data 1 "ask" end']);
    const stream = server.stream(1);
    server.connection.sendHeaders(stream, OK, false);
    expect(server.connection.sendData(stream, Buffer.from('one'), false, PREFIX)).toBe(true);
    server.connection.sendTrailers(stream, ['grpc-status', '0', 'grpc-message', 'ok']);
    expect(server.frames()).toEqual([
      'HEADERS 1',
      `DATA 1 ${JSON.stringify('\0\0\0\0\u0003one')}`,
      'HEADERS 1 END',
    ]);
    expect(stream.closed).toBe(true);
    expect(server.connection.openStreams).toBe(0);
  });

  it('respondUnary writes the same as the three calls', () => {
    const answer = (respond: (server: Harness) => void): Buffer => {
      const server = new Harness('server').handshake().feed(wire.headers(1, wire.REQUEST, 5));
      respond(server);
      return server.take();
    };
    for (const message of [
      Buffer.from('abc'),
      Buffer.alloc(0),
      Buffer.alloc(5000, 7),
      Buffer.alloc(60_000, 7),
    ]) {
      const three = answer(({ connection, byId }) => {
        const stream = byId.get(1);
        if (stream === undefined) throw new Error('no stream');
        connection.sendHeaders(stream, OK, false);
        connection.sendData(stream, message, false, PREFIX);
        connection.sendTrailers(stream, DONE);
      });
      const one = answer((server) =>
        server.connection.respondUnary(server.stream(1), OK, PREFIX, message, DONE),
      );
      expect(one.equals(three)).toBe(true);
      expect(wire.parseFrames(one).at(-1)?.flags).toBe(5);
    }
  });

  it('an answer before the end of the request resets the rest of the request', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1));
    server.connection.sendHeaders(server.stream(1), ['grpc-status', '12', ':status', '200'].reverse(), true);
    expect(server.frames()).toEqual(['HEADERS 1 END', 'RST_STREAM 1 NO_ERROR']);
    server.feed(wire.data(1, 'late'), wire.headers(1, wire.TRAILERS, 5), wire.rstStream(1, 8));
    expect(server.frames()).toEqual([]);
    expect(server.log).toEqual(['headers 1']);
  });

  it('answers from inside of the events', () => {
    const server = new Harness('server').handshake();
    server.onHeaders = (stream) =>
      server.connection.respondUnary(stream, OK, PREFIX, Buffer.from('abc'), DONE);
    server.feed(wire.headers(1, wire.REQUEST, 5), wire.headers(3, wire.REQUEST, 5));
    expect(server.frames().filter((frame) => frame.startsWith('HEADERS'))).toHaveLength(4);
    expect(server.connection.openStreams).toBe(0);
  });

  it('drops what is queued for a stream that is reset', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1));
    const stream = server.stream(1);
    server.connection.sendHeaders(stream, OK, false);
    server.connection.sendData(stream, Buffer.alloc(100_000), false);
    expect(server.connection.queuedBytes).toBe(100_000);
    server.connection.reset(stream, ErrorCode.INTERNAL_ERROR);
    expect(server.connection.queuedBytes).toBe(0);
    expect(server.frames()).toEqual(['HEADERS 1', 'RST_STREAM 1 INTERNAL_ERROR']);
  });

  it('closes once, with the open streams still listed', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1), wire.headers(3));
    const listed: number[] = [];
    const closed = server.closed.bind(server);
    server.closed = (reason) => {
      server.connection.forEachStream((stream) => listed.push(stream.id));
      closed(reason);
    };
    server.connection.transportClosed('reset by peer');
    server.connection.transportClosed('again');
    server.connection.close(ErrorCode.NO_ERROR, 'again');
    expect(listed).toEqual([1, 3]);
    expect(server.log.filter((entry) => entry.startsWith('closed'))).toEqual(['closed NO_ERROR transport']);
    expect(server.connection.openStreams).toBe(0);
    expect(server.stream(1).closed).toBe(true);
  });

  it('an event handler that throws closes the connection with INTERNAL_ERROR', () => {
    const server = new Harness('server').handshake();
    server.onHeaders = () => {
      throw new Error('broken handler');
    };
    expect(() => server.feed(wire.headers(1))).toThrow('broken handler');
    expect(server.frames()).toEqual(['GOAWAY 1 INTERNAL_ERROR']);
    expect(server.closeReason?.code).toBe(ErrorCode.INTERNAL_ERROR);
  });
});

describe('header blocks', () => {
  const blockOf = (server: Harness, octets: Buffer, id: number): HeaderBlock => {
    server.feed(wire.headers(id, octets, 5));
    const block = server.blocks.at(-1);
    if (block === undefined) throw new Error('no block');
    return block;
  };

  it('that insert nothing are recognised by their octets', () => {
    const server = new Harness('server').handshake();
    // A block is kept when it comes for the second time.
    expect(blockOf(server, wire.REQUEST, 1).fields).toEqual(wire.REQUEST_FIELDS);
    const kept = blockOf(server, wire.REQUEST, 3);
    kept.annotation = 'route';
    expect(server.connection.stats.cachedHeaderBlocks).toBe(0);
    expect(blockOf(server, wire.REQUEST, 5)).toBe(kept);
    expect(server.connection.stats.cachedHeaderBlocks).toBe(1);
    const other = blockOf(server, wire.block(...wire.REQUEST_FIELDS, 'a', 'b'), 7);
    expect(other).not.toBe(kept);
    expect(other.get('a')).toBe('b');
    expect(blockOf(server, wire.REQUEST, 9)).toBe(kept);
  });

  it('with indexes mean something else after an insertion', () => {
    const server = new Harness('server').handshake();
    const start = wire.block(':method', 'POST', ':scheme', 'http', ':path', '/');
    const insert = (value: string): Buffer =>
      Buffer.concat([Buffer.of(0x40, 1, 0x61, 1), Buffer.from(value)]);
    const newest = Buffer.concat([start, Buffer.of(0x80 | 62)]);
    expect(blockOf(server, Buffer.concat([start, insert('1')]), 1).get('a')).toBe('1');
    const values = [3, 5, 7].map((id) => blockOf(server, newest, id).get('a'));
    expect(values).toEqual(['1', '1', '1']);
    expect(server.connection.stats.cachedHeaderBlocks).toBe(1);
    expect(blockOf(server, Buffer.concat([start, insert('2')]), 9).get('a')).toBe('2');
    expect(blockOf(server, newest, 11).get('a')).toBe('2');
    // A block that inserts must be decoded every time.
    const again = [13, 15, 17].map((id) => blockOf(server, Buffer.concat([start, insert('2')]), id).get('a'));
    expect(again).toEqual(['2', '2', '2']);
    expect(server.connection.stats.cachedHeaderBlocks).toBe(1);
    expect(blockOf(server, Buffer.concat([start, Buffer.of(0x80 | 66)]), 19).get('a')).toBe('1');
  });

  it('that have begun and are not complete are visible, cut inside of a frame or between frames', () => {
    const server = new Harness('server').handshake();
    const reading = (...octets: Buffer[]): boolean => server.feed(...octets).connection.isReadingHeaders;
    const request = wire.headers(1, wire.REQUEST, 0);
    const rest = wire.frame(0x9, 4, 1);
    expect(reading()).toBe(false);
    expect(reading(request.subarray(0, 12))).toBe(true);
    expect(reading(request.subarray(12))).toBe(true);
    expect(reading(rest.subarray(0, 5))).toBe(true);
    expect(reading(rest.subarray(5))).toBe(false);
    expect(reading(wire.data(1, 'half of a frame').subarray(0, 14))).toBe(false);
  });

  it('give all values of a name', () => {
    const server = new Harness('server').handshake();
    const block = blockOf(server, wire.block(...wire.REQUEST_FIELDS, 'k', '1', 'k', '2'), 1);
    expect(block.getAll('k')).toEqual(['1', '2']);
    expect(block.get('none')).toBeUndefined();
  });
});
