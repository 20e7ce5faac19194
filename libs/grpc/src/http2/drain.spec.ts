import { describe, expect, it } from 'vitest';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

/** The acknowledgement of the PING in these octets. */
function acknowledge(octets: Buffer): Buffer {
  const ping = wire.parseFrames(octets).find((frame) => wire.describeFrame(frame) === 'PING');
  if (ping === undefined) throw new Error('no PING');
  return wire.ping(1, ping.payload);
}

describe('a server that drains', () => {
  it('takes requests for one round trip more, finishes them, and reports it', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1, wire.REQUEST, 5));
    server.connection.drain();
    server.connection.drain();
    expect(server.connection.isDraining).toBe(true);
    const announced = server.take();
    expect(wire.parseFrames(announced).map(wire.describeFrame)).toEqual([
      'GOAWAY 2147483647 NO_ERROR',
      'PING',
    ]);
    server.feed(wire.headers(3, wire.REQUEST, 5), acknowledge(announced));
    expect(server.frames()).toEqual(['GOAWAY 3 NO_ERROR']);
    server.feed(wire.headers(5), wire.data(5, 'ignored'), wire.rstStream(5, 8), wire.windowUpdate(5, 1));
    expect(server.log).toEqual(['headers 1 end', 'headers 3 end']);
    for (const id of [1, 3]) {
      expect(server.log).not.toContain('drained');
      server.connection.sendHeaders(server.stream(id), [':status', '200'], true);
    }
    expect(server.log.at(-1)).toBe('drained');
    expect(server.frames()).toEqual(['HEADERS 1 END', 'HEADERS 3 END']);
  });

  it('keeps decoding header blocks of the requests that it ignores', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1));
    server.connection.drain();
    server.feed(acknowledge(server.take()));
    server.feed(wire.headers(3, Buffer.concat([wire.REQUEST, Buffer.of(0x40, 1, 0x61, 1, 0x62)]), 5));
    server.feed(wire.headers(1, Buffer.of(0x80 | 62), 5));
    expect(server.blocks.at(-1)?.fields).toEqual(['a', 'b']);
  });

  it('without streams is drained after the round trip', () => {
    const server = new Harness('server').handshake();
    server.connection.drain();
    expect(server.log).toEqual([]);
    server.feed(acknowledge(server.take()));
    expect(server.log).toEqual(['drained']);
  });

  it('is drained also when the client has said goodbye', () => {
    const server = new Harness('server')
      .handshake()
      .feed(wire.headers(1, wire.REQUEST, 5), wire.goaway(0, 0));
    expect(server.log).toEqual(['headers 1 end', 'goaway 0 NO_ERROR']);
    server.connection.sendHeaders(server.stream(1), [':status', '200'], true);
    expect(server.log.at(-1)).toBe('drained');
  });
});

describe('a client that drains', () => {
  it('opens no more streams and reports when the running ones have ended', () => {
    const client = new Harness('client').handshake();
    client.open(wire.REQUEST_FIELDS, true);
    client.connection.drain();
    expect(client.connection.canOpenStream).toBe(false);
    expect(client.frames()).toEqual(['HEADERS 1 END', 'GOAWAY 0 NO_ERROR']);
    client.feed(wire.headers(1, wire.RESPONSE, 5));
    expect(client.log).toEqual(['headers 1 end', 'drained']);
  });
});

describe('pings', () => {
  it('come back with their number, each once', () => {
    const client = new Harness('client').handshake();
    const numbers = [client.connection.ping(), client.connection.ping()];
    const acks = wire.parseFrames(client.take()).map((frame) => wire.ping(1, frame.payload));
    client.feed(acks[0], acks[0], acks[1], wire.ping(1));
    expect(client.log).toEqual(numbers.map((number) => `pong ${number}`));
  });
});
