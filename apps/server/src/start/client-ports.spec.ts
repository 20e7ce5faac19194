import { connect, type Socket } from 'node:net';
import { GrpcServer } from '@conclave/grpc';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type HttpFront } from '../http-api/http-front.js';
import { type Logger } from '../engine/platform/logger.js';
import { type ServerOptions } from '../options/server-options.js';
import { ClientPorts } from './client-ports.js';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const settingsAck = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);

/** Turns of this event loop, on which both ends live: what was sent over loopback has arrived. */
async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('connections that come before the member serves', () => {
  const open: (() => unknown)[] = [];
  afterEach(() => Promise.all(open.splice(0).map((close) => close())));

  async function ports(): Promise<{ ports: ClientPorts; port: number }> {
    const url = { scheme: 'http', host: '127.0.0.1', port: 0, text: '' };
    const options = { listenClientUrls: [url], listenClientHttpUrls: [], listenMetricsUrls: [] };
    const opened = await ClientPorts.open(
      options as unknown as ServerOptions,
      {} as HttpFront,
      { warn: () => undefined } as unknown as Logger,
    );
    open.push(() => opened.close());
    return { ports: opened, port: Number(new URL(opened.clientUrls[0] ?? '').port) };
  }

  async function caller(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    open.push(() => socket.destroy());
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    return socket;
  }

  it.each(['end', 'resetAndDestroy'] as const)('leave nothing behind when they go (%s)', async (leave) => {
    const { ports: waiting, port } = await ports();
    const gone = await caller(port);
    gone.write(preface);
    await manyTurns();
    gone[leave]();
    await manyTurns();
    const server = new GrpcServer();
    waiting.serve((pipe, head) => server.serve(pipe, head));
    await server.close();
    expect(server.stats.connectionsOpen).toBe(0);
  });

  it('lose nothing of what they send meanwhile', async () => {
    const { ports: waiting, port } = await ports();
    const socket = await caller(port);
    socket.setNoDelay(true).write(preface);
    await manyTurns();
    socket.write(emptySettings);
    await manyTurns();
    const server = new GrpcServer();
    open.push(() => server.close());
    const answers: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => answers.push(bytes));
    waiting.serve((pipe, head) => server.serve(pipe, head));
    await vi.waitFor(() => expect(Buffer.concat(answers).includes(settingsAck)).toBe(true), { interval: 5 });
  });
});
