import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from './error-code.js';
import { type ConnectionOptions } from './options.js';
import { SettingId } from './settings.js';
import { Harness } from './testing/harness.js';
import * as wire from './testing/wire.js';

/** Carries octets both ways between two connections, in chunks of the given sizes, until nothing moves any more. */
function exchange(client: Harness, server: Harness, chunkSize: () => number): void {
  for (let idle = false; !idle;) {
    idle = true;
    for (const [from, to] of [[client, server] as const, [server, client] as const]) {
      const octets = from.take();
      for (let position = 0; position < octets.length;) {
        const end = Math.min(octets.length, position + chunkSize());
        to.connection.receive(octets.subarray(position, end));
        position = end;
      }
      if (octets.length > 0) idle = false;
    }
  }
}

/** Octets that tell their position, so that loss, repetition and reordering show. */
function pattern(length: number): Buffer {
  const octets = Buffer.alloc(length);
  for (let i = 0; i < length; i++) octets[i] = (i * 31 + (i >>> 8) * 17 + (i >>> 16)) & 0xff;
  return octets;
}

/** Sends `body` from the client on one stream and echoes it; returns what came back. */
function echo(
  body: Buffer,
  clientOptions: ConnectionOptions,
  serverOptions: ConnectionOptions,
  chunkSize: () => number,
): Buffer {
  const client = new Harness('client', clientOptions);
  const server = new Harness('server', serverOptions);
  const received: Buffer[] = [];
  server.onHeaders = (stream) => server.connection.sendHeaders(stream, [':status', '200'], false);
  server.onData = (stream, octets, end) => {
    server.connection.sendData(stream, octets, false);
    if (end) server.connection.sendTrailers(stream, ['grpc-status', '0']);
  };
  client.onData = (_stream, octets) => received.push(octets);
  const stream = client.open(wire.REQUEST_FIELDS);
  client.connection.sendData(stream, body, true);
  exchange(client, server, chunkSize);
  expect(client.log.at(-1)).toBe('trailers 1');
  expect([client.connection.openStreams, server.connection.openStreams]).toEqual([0, 0]);
  expect([client.connection.queuedBytes, server.connection.queuedBytes]).toEqual([0, 0]);
  return Buffer.concat(received);
}

describe('flow control between two connections', () => {
  it('4 MiB pass through tiny windows in arbitrary chunks', () => {
    const body = pattern(4 * 1024 * 1024);
    let turn = 0;
    const sizes = [1, 8192, 13, 40_000, 700, 9, 16_393];
    const back = echo(
      body,
      { initialWindowSize: 1_000 },
      { initialWindowSize: 3_000 },
      () => sizes[turn++ % sizes.length],
    );
    expect(back.equals(body)).toBe(true);
  });

  it('any body passes through any windows in any chunks', () => {
    const window = fc.integer({ min: 1, max: 70_000 });
    fc.assert(
      fc.property(
        fc.nat(120_000),
        window,
        window,
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 9 }),
        (length, a, b, sizes) => {
          let turn = 0;
          // A window of one octet takes a round for each; that is tested with few.
          const body = pattern(Math.min(length, Math.min(a, b) * 100));
          const back = echo(
            body,
            { initialWindowSize: a },
            { initialWindowSize: b },
            () => sizes[turn++ % sizes.length],
          );
          expect(back.equals(body)).toBe(true);
        },
      ),
      { seed: 9113, numRuns: 60 },
    );
  });

  it('many streams share the connection window and all finish', () => {
    const client = new Harness('client', { connectionWindowSize: 65_535 });
    const server = new Harness('server', { connectionWindowSize: 65_535 });
    const totals = new Map<number, number>();
    server.onData = (stream, octets) => totals.set(stream.id, (totals.get(stream.id) ?? 0) + octets.length);
    for (let i = 0; i < 20; i++)
      client.connection.sendData(client.open(wire.REQUEST_FIELDS), pattern(50_000 + i), true);
    exchange(client, server, () => 10_000);
    expect([...totals.values()]).toEqual(Array.from({ length: 20 }, (_, i) => 50_000 + i));
  });
});

describe('sending', () => {
  const serverWith = (options: ConnectionOptions, ...entries: [number, number][]): Harness =>
    new Harness('server', options).handshake(...entries).feed(wire.headers(1));

  it('keeps to the stream window, the connection window and the frame size', () => {
    const server = serverWith({}, [SettingId.INITIAL_WINDOW_SIZE, 40_000]);
    server.connection.sendHeaders(server.stream(1), [':status', '200'], false);
    server.connection.sendData(server.stream(1), pattern(100_000), true);
    expect(server.frames()).toEqual(['HEADERS 1', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 7232']);
    server.feed(wire.windowUpdate(1, 60_000));
    expect(server.frames()).toEqual(['DATA 1 16384', 'DATA 1 9151']);
    server.feed(wire.windowUpdate(0, 10));
    expect(server.frames()).toEqual([
      `DATA 1 ${JSON.stringify(pattern(100_000).toString('latin1', 65_535, 65_545))}`,
    ]);
    server.feed(wire.windowUpdate(0, 100_000));
    expect(server.frames()).toEqual([
      'DATA 1 16384',
      'DATA 1 16384',
      'DATA 1 1687 END',
      'RST_STREAM 1 NO_ERROR',
    ]);
    expect(server.connection.queuedBytes).toBe(0);
  });

  it('follows a changed initial window, also below zero', () => {
    const server = serverWith({}, [SettingId.INITIAL_WINDOW_SIZE, 100]);
    const stream = server.stream(1);
    server.connection.sendHeaders(stream, [':status', '200'], false);
    server.connection.sendData(stream, pattern(200), true);
    expect(server.frames()).toEqual(['HEADERS 1', 'DATA 1 100']);
    server.feed(wire.settings([SettingId.INITIAL_WINDOW_SIZE, 30]));
    expect(stream.sendWindow).toBe(-70);
    server.feed(wire.windowUpdate(1, 70));
    expect(server.frames()).toEqual(['SETTINGS ACK']);
    server.feed(wire.settings([SettingId.INITIAL_WINDOW_SIZE, 1000]));
    expect(server.frames()).toEqual(['SETTINGS ACK', 'DATA 1 100 END', 'RST_STREAM 1 NO_ERROR']);
  });

  it('headers, trailers and an empty end need no window', () => {
    const server = serverWith({}, [SettingId.INITIAL_WINDOW_SIZE, 0]).feed(wire.headers(3, wire.REQUEST, 5));
    server.connection.sendHeaders(server.stream(1), [':status', '200'], false);
    server.connection.sendTrailers(server.stream(1), ['grpc-status', '0']);
    server.connection.sendHeaders(server.stream(3), [':status', '200'], false);
    server.connection.sendData(server.stream(3), Buffer.alloc(0), true);
    expect(server.frames()).toEqual([
      'HEADERS 1',
      'HEADERS 1 END',
      'RST_STREAM 1 NO_ERROR',
      'HEADERS 3',
      'DATA 3 "" END',
    ]);
  });

  it('takes turns between streams', () => {
    const server = serverWith({ outputTarget: 40_000 }).feed(wire.headers(3), wire.headers(5));
    for (const id of [1, 3, 5]) {
      server.connection.sendHeaders(server.stream(id), [':status', '200'], false);
      server.connection.sendData(server.stream(id), pattern(20_000), false);
    }
    const sent = server
      .frames()
      .concat(server.frames())
      .filter((frame) => frame.startsWith('DATA'));
    expect(sent.slice(0, 3)).toEqual(['DATA 1 16384', 'DATA 3 16384', 'DATA 5 16384']);
  });

  it('puts control frames before queued data', () => {
    const server = serverWith({});
    server.connection.sendHeaders(server.stream(1), [':status', '200'], false);
    server.connection.sendData(server.stream(1), pattern(60_000), false);
    server.feed(wire.ping());
    expect(server.frames().slice(0, 3)).toEqual(['HEADERS 1', 'PING ACK', 'DATA 1 16384']);
  });

  it('pushes back while a stream queues, and reports when it has drained', () => {
    const server = serverWith({ streamQueueMark: 1000 }, [SettingId.INITIAL_WINDOW_SIZE, 0]);
    const stream = server.stream(1);
    server.connection.sendHeaders(stream, [':status', '200'], false);
    expect(server.connection.sendData(stream, pattern(600), false)).toBe(true);
    expect(server.connection.sendData(stream, pattern(600), false)).toBe(false);
    expect(stream.queuedBytes).toBe(1200);
    server.feed(wire.windowUpdate(1, 600));
    server.frames();
    expect(server.log).toEqual(['headers 1']);
    server.feed(wire.windowUpdate(1, 100));
    server.frames();
    expect(server.log).toEqual(['headers 1', 'writable 1']);
  });

  it('a writer that fills up at every chance does not keep takeOutput busy for ever', () => {
    const server = serverWith({ streamQueueMark: 10_000, outputTarget: 50_000 }, [
      SettingId.INITIAL_WINDOW_SIZE,
      0x7fffffff,
    ]);
    server.feed(wire.windowUpdate(0, 0x7fffffff - 65_535));
    const stream = server.stream(1);
    server.connection.sendHeaders(stream, [':status', '200'], false);
    server.onWritable = () => repeatWhile(() => server.connection.sendData(stream, pattern(20_000), false));
    server.onWritable(stream);
    const size = server.take().length;
    expect(size).toBeGreaterThanOrEqual(50_000);
    expect(size).toBeLessThan(150_000);
    expect(server.connection.hasOutput).toBe(true);
  });

  it('bounds what streams without window pin: the stream that exceeds the limit is reset', () => {
    const server = serverWith({ maxQueuedBytes: 10_000 }, [SettingId.INITIAL_WINDOW_SIZE, 0]).feed(
      wire.headers(3),
    );
    for (const id of [1, 3]) server.connection.sendHeaders(server.stream(id), [':status', '200'], false);
    server.connection.sendData(server.stream(1), pattern(20_000), false); // one message alone always passes
    expect(server.connection.sendData(server.stream(3), pattern(100), false)).toBe(false);
    expect(server.log.at(-1)).toBe('reset 3 ENHANCE_YOUR_CALM local');
    expect(server.connection.queuedBytes).toBe(20_000);
  });

  it('signals output once until it is taken', () => {
    const server = serverWith({});
    server.take();
    server.outputSignals = 0;
    server.feed(wire.ping(), wire.ping());
    server.connection.sendHeaders(server.stream(1), [':status', '200'], false);
    expect(server.outputSignals).toBe(1);
    server.take();
    expect(server.connection.hasOutput).toBe(false);
    server.connection.sendData(server.stream(1), pattern(50_000), false);
    expect(server.outputSignals).toBe(2);
    expect(server.connection.hasOutput).toBe(true);
  });
});

describe('receiving', () => {
  it('returns the windows when the application has consumed half of them', () => {
    const server = new Harness('server', {
      initialWindowSize: 100_000,
      connectionWindowSize: 200_000,
    }).handshake();
    server.autoConsume = false;
    server.feed(wire.headers(1));
    for (let i = 0; i < 6; i++) server.feed(wire.data(1, pattern(16_000)));
    expect(server.frames()).toEqual([]);
    server.connection.consumed(server.stream(1), 49_999);
    expect(server.frames()).toEqual([]);
    server.connection.consumed(server.stream(1), 1);
    expect(server.frames()).toEqual(['WINDOW_UPDATE 1 50000']);
    server.connection.consumed(server.stream(1), 46_000);
    server.feed(wire.data(1, pattern(4_000)));
    server.connection.consumed(server.stream(1), 4_000);
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 100000', 'WINDOW_UPDATE 1 50000']);
  });

  it('a stream that exceeds its window is reset, and the connection window recovers', () => {
    const server = new Harness('server', { initialWindowSize: 10, connectionWindowSize: 65_535 }).handshake();
    server.autoConsume = false;
    for (let id = 1; id < 9; id += 2) server.feed(wire.headers(id), wire.data(id, pattern(16_000)));
    expect(server.frames().filter((frame) => frame.startsWith('RST'))).toEqual(
      [1, 3, 5, 7].map((id) => `RST_STREAM ${id} FLOW_CONTROL_ERROR`),
    );
    expect(server.connection.isClosed).toBe(false);
    for (let id = 9; id < 40; id += 2) server.feed(wire.headers(id), wire.data(id, pattern(16_000)));
    expect(server.connection.isClosed).toBe(false);
  });

  it('data beyond the connection window ends the connection', () => {
    const server = new Harness('server', { connectionWindowSize: 65_535 }).handshake();
    server.autoConsume = false;
    server.feed(wire.headers(1));
    for (let i = 0; i < 4; i++) server.feed(wire.data(1, pattern(16_384)));
    expect(server.frames()).toEqual(['GOAWAY 1 FLOW_CONTROL_ERROR']);
  });

  it('padding counts and is returned at once', () => {
    const server = new Harness('server', {
      initialWindowSize: 1000,
      connectionWindowSize: 65_535,
    }).handshake();
    server.autoConsume = false;
    server.feed(wire.headers(1));
    const padded = Buffer.concat([Buffer.of(255), Buffer.from('x'), Buffer.alloc(255)]);
    for (let i = 0; i < 20; i++) server.feed(wire.data(1, padded, 0x8));
    expect(server.connection.isClosed).toBe(false);
    expect(server.log.filter((entry) => entry === 'data 1 "x"')).toHaveLength(20);
    expect(server.frames().every((frame) => frame.startsWith('WINDOW_UPDATE 1 '))).toBe(true);
  });

  it('octets of a stream that was reset go back to the connection', () => {
    const server = new Harness('server', { connectionWindowSize: 65_535 }).handshake();
    server.autoConsume = false;
    server.feed(wire.headers(1), ...[1, 2, 3].map(() => wire.data(1, pattern(16_000))));
    server.connection.reset(server.stream(1), ErrorCode.CANCEL);
    expect(server.frames()).toEqual(['RST_STREAM 1 CANCEL', 'WINDOW_UPDATE 0 48000']);
    server.connection.consumed(server.stream(1), 48_000);
    expect(server.frames()).toEqual([]);
  });

  it("octets of a stream that ended in order stay the application's until it consumes them", () => {
    const server = new Harness('server', { connectionWindowSize: 65_535 }).handshake();
    server.autoConsume = false;
    server.feed(
      wire.headers(1),
      wire.data(1, pattern(16_000)),
      wire.data(1, pattern(16_000)),
      wire.data(1, pattern(1000), 1),
    );
    server.connection.sendHeaders(server.stream(1), [':status', '200'], true);
    expect(server.frames()).toEqual(['HEADERS 1 END']);
    server.connection.consumed(server.stream(1), 33_000);
    expect(server.frames()).toEqual(['WINDOW_UPDATE 0 33000']);
  });

  it('consuming more than was delivered is a defect of the caller', () => {
    const server = new Harness('server').handshake().feed(wire.headers(1));
    expect(() => server.connection.consumed(server.stream(1), 1)).toThrow(/invariant/);
  });

  it('until our SETTINGS are acknowledged the peer may use the window of the RFC', () => {
    const server = new Harness('server', { initialWindowSize: 10 });
    server.feed(
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      wire.settings(),
      wire.headers(1),
      wire.data(1, pattern(16_000)),
    );
    expect(server.log).toContain('data 1 16000');
    server.feed(wire.SETTINGS_ACK, wire.headers(3), wire.data(3, pattern(16_000)));
    expect(server.log.at(-1)).toBe('reset 3 FLOW_CONTROL_ERROR local');
    // A stream that began before is held to the new window as well.
    server.feed(wire.data(1, 'ten octets'), wire.data(1, 'ten octets!'));
    expect(server.log.slice(-2)).toEqual(['data 1 "ten octets"', 'reset 1 FLOW_CONTROL_ERROR local']);
  });

  it('padding counts against the stream window', () => {
    const server = new Harness('server', { initialWindowSize: 100 }).handshake().feed(wire.headers(1));
    server.feed(wire.data(1, Buffer.concat([Buffer.of(200), Buffer.from('x'), Buffer.alloc(200)]), 0x8));
    expect(server.log.at(-1)).toBe('reset 1 FLOW_CONTROL_ERROR local');
  });
});

/** Repeats while the action succeeds. */
function repeatWhile(action: () => boolean): void {
  let goOn = true;
  while (goOn) goOn = action();
}
