import { describe, expect, it } from 'vitest';
import { ErrorCode } from './error-code.js';
import { type Lender } from './lender.js';
import { SettingId } from './settings.js';
import { type Stream } from './stream.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

class CountingLender implements Lender {
  count = 0;

  returned(): void {
    this.count++;
  }
}

/** A server with one open stream whose window is `window` octets. */
function serverWith(window: number): [server: Harness, stream: Stream] {
  const server = new Harness('server').handshake([SettingId.INITIAL_WINDOW_SIZE, window]);
  server.feed(wire.headers(1));
  const stream = server.stream(1);
  server.connection.sendHeaders(stream, [':status', '200'], false);
  server.take();
  server.connection.outputWritten(true);
  return [server, stream];
}

describe('lent octets', () => {
  it.each([
    ['small ones, which are copied', 100],
    ['large ones, which are referred to', 12_000],
    ['more than fits in a frame', 40_000],
  ])('come back once the transport has copied them: %s', (_, size) => {
    const [server, stream] = serverWith(65_535);
    const lender = new CountingLender();
    server.connection.sendData(stream, Buffer.alloc(size), false, undefined, lender);
    expect(lender.count).toBe(0);
    server.take();
    expect(lender.count).toBe(0);
    server.connection.outputWritten(true);
    expect(lender.count).toBe(1);
    server.connection.sendData(stream, Buffer.alloc(10), false);
    server.take();
    server.connection.outputWritten(true);
    expect(lender.count).toBe(1);
  });

  it('do not come back when the transport keeps them', () => {
    const [server, stream] = serverWith(65_535);
    const lender = new CountingLender();
    server.connection.sendData(stream, Buffer.alloc(12_000), false, undefined, lender);
    server.take();
    server.connection.outputWritten(false);
    server.connection.sendData(stream, Buffer.alloc(10), false);
    server.take();
    server.connection.outputWritten(true);
    expect(lender.count).toBe(0);
  });

  it('come back with their last octet, not with the first that a window lets pass', () => {
    const [server, stream] = serverWith(10_000);
    const lender = new CountingLender();
    server.connection.sendData(stream, Buffer.alloc(25_000), false, undefined, lender);
    for (const [credit, count] of [
      [0, 0],
      [10_000, 0],
      [4_999, 0],
      [1, 1],
    ] as const) {
      if (credit > 0) server.feed(wire.windowUpdate(1, credit));
      server.take();
      server.connection.outputWritten(true);
      expect(lender.count).toBe(count);
    }
  });

  it('do not come back from a stream that was reset before', () => {
    const [server, stream] = serverWith(10_000);
    const lender = new CountingLender();
    server.connection.sendData(stream, Buffer.alloc(25_000), false, undefined, lender);
    server.take();
    server.connection.reset(stream, ErrorCode.INTERNAL_ERROR);
    server.connection.outputWritten(false);
    server.take();
    server.connection.outputWritten(true);
    expect(lender.count).toBe(0);
  });
});

describe('the memory of the output', () => {
  it('is written again from its beginning after the transport has copied everything, and only then', () => {
    const [server, stream] = serverWith(65_535);
    const places: number[] = [];
    for (const isCopied of [true, true, false, false, true, true]) {
      server.connection.sendData(stream, Buffer.alloc(91), false);
      const [part] = server.connection.takeOutput();
      places.push(part!.byteOffset);
      server.connection.outputWritten(isCopied);
    }
    expect(places).toEqual([0, 0, 0, 100, 200, 0]);
  });
});
