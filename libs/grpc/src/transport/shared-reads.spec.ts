import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { shareReads } from './shared-reads.js';

const opened: { destroy(): unknown }[] = [];

afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

/** Both ends of a connection over TCP; the server's end reads nothing yet. */
async function connected(): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepting = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const accepted = await accepting;
  opened.push(client, accepted);
  server.close();
  return { client, accepted };
}

/** Collects copies of what arrives; `until` resolves once so many bytes have. */
function collector(): { take(bytes: Uint8Array): void; until(count: number): Promise<Buffer> } {
  let received = Buffer.alloc(0);
  let wake = (): void => {};
  return {
    take(bytes) {
      received = Buffer.concat([received, bytes]);
      wake();
    },
    async until(count) {
      while (received.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return received;
    },
  };
}

test('an accepted socket of this version of Node reads into the one buffer', async () => {
  const { client, accepted } = await connected();
  const views: Buffer[] = [];
  const all = collector();
  accepted.on('data', (chunk: Buffer) => all.take(chunk));
  client.write('in the usual way, ');
  await all.until(18);
  expect(shareReads(accepted, (bytes) => (views.push(bytes), all.take(bytes)))).toBe(true);
  client.write('then shared, ');
  await all.until(31);
  client.write('and shared again');
  expect((await all.until(47)).toString()).toBe('in the usual way, then shared, and shared again');
  expect(views).toHaveLength(2);
  expect(views[0].buffer).toBe(views[1].buffer);
});

test('more bytes than the buffer holds arrive in order, held back and let go', async () => {
  const { client, accepted } = await connected();
  const all = collector();
  let reads = 0;
  const read = (bytes: Buffer): void => {
    all.take(bytes);
    if (++reads % 3 !== 0) return;
    accepted.pause();
    setImmediate(() => accepted.resume());
  };
  accepted.on('data', () => expect.unreachable('nothing is emitted any more'));
  expect(shareReads(accepted, read)).toBe(true);
  const sent = Buffer.alloc(1_000_003, 'the quick brown fox ');
  client.end(sent);
  expect((await all.until(sent.length)).equals(sent)).toBe(true);
  expect(accepted.bytesRead).toBe(sent.length);
});

test('the end of the peer is told as before', async () => {
  const { client, accepted } = await connected();
  accepted.on('data', () => {});
  expect(shareReads(accepted, () => {})).toBe(true);
  const ended = new Promise<void>((resolve) => accepted.once('end', resolve));
  client.end('last words');
  await ended;
});

test('a socket that shares already is left as it is', async () => {
  const { accepted } = await connected();
  expect(shareReads(accepted, () => {})).toBe(true);
  expect(shareReads(accepted, () => {})).toBe(false);
});
