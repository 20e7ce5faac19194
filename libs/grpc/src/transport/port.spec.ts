import { describe, expect, it } from 'vitest';
import { VirtualRuntime } from '../testing/virtual-runtime.js';
import { type Pipe } from './pipe.js';
import { openPort, type Port, type PortOptions } from './port.js';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

interface Open {
  readonly runtime: VirtualRuntime;
  readonly port: Port;
  /** What was taken, as `http2 <head>`. */
  readonly taken: string[];
  connect(): { pipe: Pipe; isClosed(): boolean };
}

async function open(options: PortOptions = {}, takesHttp1 = true): Promise<Open> {
  const runtime = new VirtualRuntime();
  const taken: string[] = [];
  const take = (kind: string) => (_: Pipe, head: Uint8Array) => {
    taken.push(`${kind} ${Buffer.from(head).toString()}`);
  };
  const takers = { http2: take('http2'), ...(takesHttp1 ? { http1: take('http1') } : {}) };
  const port = await openPort(runtime, { port: 80, ...options }, takers);
  const connect: Open['connect'] = () => {
    const pipe = runtime.connect({ port: 80 });
    let isClosed = false;
    const ignore = (): void => {};
    pipe.handler = {
      onOpen: ignore,
      onBytes: ignore,
      onDrain: ignore,
      onEnd: ignore,
      onClose: () => {
        isClosed = true;
      },
    };
    return { pipe, isClosed: () => isClosed };
  };
  return { runtime, port, taken, connect };
}

describe('port', () => {
  it('hands over HTTP/2 and HTTP/1 with the bytes that were read, in any chunking', async () => {
    const { runtime, port, taken, connect } = await open();
    const http2 = connect().pipe;
    for (const octet of preface) {
      http2.write([Buffer.from(octet)]);
      await runtime.settle();
    }
    const http1 = connect().pipe;
    http1.write([Buffer.from('GE')]);
    await runtime.settle();
    http1.write([Buffer.from('T /health HTTP/1.1\r\n')]);
    await runtime.settle();
    expect(taken).toEqual([`http2 ${preface}`, 'http1 GET /health HTTP/1.1\r\n']);
    expect(port.stats).toMatchObject({ pending: 0, accepted: 2, garbage: 0 });
    expect(runtime.pendingTimers).toBe(0);
  });

  it('closes garbage, and HTTP/1 that nobody takes', async () => {
    const { runtime, port, taken, connect } = await open({}, false);
    const garbage = connect();
    garbage.pipe.write([Buffer.from([0x16, 3, 1])]);
    const http1 = connect();
    http1.pipe.write([Buffer.from('GET / HTTP/1.1')]);
    await runtime.settle();
    expect(garbage.isClosed()).toBe(true);
    expect(http1.isClosed()).toBe(true);
    expect(taken).toEqual([]);
    expect(port.stats).toMatchObject({ pending: 0, garbage: 1 });
  });

  it('closes what stays silent, and what stops within the first bytes', async () => {
    const { runtime, port, connect } = await open({ handshakeTimeoutMs: 500 });
    const silent = connect();
    const partial = connect();
    partial.pipe.write([Buffer.from('PRI * HT')]);
    await runtime.advance(499);
    expect([silent.isClosed(), partial.isClosed()]).toEqual([false, false]);
    expect(port.stats.pending).toBe(2);
    await runtime.advance(2);
    expect([silent.isClosed(), partial.isClosed()]).toEqual([true, true]);
    expect(port.stats).toMatchObject({ pending: 0, timedOut: 2 });
  });

  it('refuses more pending connections than allowed, and takes new ones when they are decided', async () => {
    const { runtime, port, taken, connect } = await open({ pendingMax: 3, pendingPerAddressMax: 2 });
    const first = connect();
    const second = connect();
    const third = connect();
    await runtime.settle();
    expect([first.isClosed(), second.isClosed(), third.isClosed()]).toEqual([false, false, true]);
    expect(port.stats).toMatchObject({ pending: 2, refused: 1 });
    first.pipe.write([Buffer.from(preface)]);
    await runtime.settle();
    const fourth = connect();
    fourth.pipe.write([Buffer.from(preface)]);
    await runtime.settle();
    expect(taken).toHaveLength(2);
    expect(port.stats.pending).toBe(1);
  });

  it('forgets clients that leave before they are decided', async () => {
    const { runtime, port, connect } = await open();
    const client = connect();
    await runtime.settle();
    client.pipe.destroy();
    await runtime.settle();
    expect(port.stats.pending).toBe(0);
    expect(runtime.pendingTimers).toBe(0);
  });

  it('closes pending connections with itself, and tells of a port that is taken', async () => {
    const { runtime, port, connect } = await open();
    const pending = connect();
    await runtime.settle();
    await expect(openPort(runtime, { port: 80 }, { http2: () => {} })).rejects.toThrow(/EADDRINUSE/);
    await port.close();
    await runtime.settle();
    expect(pending.isClosed()).toBe(true);
    const late = connect();
    await runtime.settle();
    expect(late.isClosed()).toBe(true);
  });
});
