import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcChannel, GrpcServer, GrpcStatus, nodeRuntime, openPort, type Port } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';
import { isInstalled, run, temporaryFolder } from './command.js';

const { PutRequest, PutResponse, RangeRequest, RangeResponse, WatchRequest, WatchResponse } = etcdserverpb;

// Go's gRPC is what most clients and servers of this protocol are made with: etcdctl and etcd.
describe.skipIf(!isInstalled('etcdctl'))('etcdctl as client of our server', () => {
  let server: GrpcServer;
  let port: Port;
  const puts: string[] = [];
  let onWatchCancelled = (): void => {};

  beforeAll(async () => {
    server = new GrpcServer();
    server.register('/etcdserverpb.KV/Put', {
      kind: 'unary',
      handle: (request, call) => {
        const { key, value } = PutRequest.decode(new Uint8Array(request));
        puts.push(`${Buffer.from(key).toString()} ${value.length}`);
        call.respond(PutResponse.encode(PutResponse.fromPartial({})).finish());
      },
    });
    server.register('/etcdserverpb.KV/Range', {
      kind: 'unary',
      handle: (_, call) =>
        call.fail(GrpcStatus.OutOfRange, 'etcdserver: mvcc: required revision has been compacted'),
    });
    server.register('/etcdserverpb.Watch/Watch', {
      kind: 'stream',
      open: (call) => ({
        message: (request) => {
          const { key } = WatchRequest.decode(new Uint8Array(request)).request_union?.value as {
            key: Uint8Array;
          };
          call.send(
            WatchResponse.encode(
              WatchResponse.fromPartial({ header: { revision: 1n }, created: true }),
            ).finish(),
          );
          const event = { type: 0, kv: { key: Buffer.from(key), value: Buffer.from('seen') } };
          call.send(
            WatchResponse.encode(
              WatchResponse.fromPartial({ header: { revision: 2n }, events: [event] }),
            ).finish(),
          );
        },
        halfClose: () => {},
        cancel: () => onWatchCancelled(),
      }),
    });
    port = await openPort(nodeRuntime, {}, { http2: (pipe, head) => server.serve(pipe, head) });
  });

  afterAll(async () => {
    await Promise.all([port.close(), server.close()]);
  });

  const etcdctl = (...args: string[]): ReturnType<typeof run> =>
    run('etcdctl', [`--endpoints=127.0.0.1:${port.local.port}`, '--command-timeout=10s', ...args]);

  it('unary calls, small and large', async () => {
    expect((await etcdctl('put', 'a', 'b')).stdout).toBe('OK\n');
    expect((await etcdctl('put', 'large', 'v'.repeat(100_000))).stdout).toBe('OK\n');
    expect(puts).toEqual(['a 1', 'large 100000']);
  });

  it('errors, which it recognises by code and text', async () => {
    const { code, stderr } = await etcdctl('get', 'a', '--rev=1');
    expect(code).not.toBe(0);
    expect(stderr).toContain('etcdserver: mvcc: required revision has been compacted');
  });

  it('a stream, and its end when the client dies', async () => {
    const cancelled = new Promise<void>((resolve) => (onWatchCancelled = resolve));
    const watching = spawn('etcdctl', [`--endpoints=127.0.0.1:${port.local.port}`, 'watch', 'observed']);
    let printed = '';
    await new Promise<void>((resolve, reject) => {
      watching.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed === 'PUT\nobserved\nseen\n') resolve();
      });
      watching.once('exit', () =>
        reject(new Error(`etcdctl ended and had printed ${JSON.stringify(printed)}`)),
      );
    });
    watching.removeAllListeners('exit');
    watching.kill('SIGKILL');
    await cancelled;
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

describe.skipIf(!isInstalled('etcd'))('our channel as client of etcd', () => {
  const folder = temporaryFolder();
  let etcd: ChildProcess;
  let channel: GrpcChannel;

  beforeAll(async () => {
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
    const urls = [
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ];
    etcd = spawn('etcd', ['--data-dir', folder.path, '--initial-cluster', `default=${peerUrl}`, ...urls], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      let log = '';
      etcd.stderr?.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes('ready to serve client requests')) resolve();
      });
      etcd.once('exit', () => reject(new Error(`etcd ended: ${log}`)));
    });
    channel = new GrpcChannel({ target: { host: '127.0.0.1', port: clientPort } });
  });

  afterAll(async () => {
    await channel.close();
    const ended = once(etcd, 'exit');
    etcd.kill('SIGKILL');
    await ended;
    folder.remove();
  });

  async function range(request: Parameters<typeof RangeRequest.fromPartial>[0]): Promise<unknown> {
    const { message } = await channel.unary(
      '/etcdserverpb.KV/Range',
      RangeRequest.encode(RangeRequest.fromPartial(request)).finish(),
      { timeoutMs: 5_000 },
    );
    return RangeResponse.decode(message);
  }

  it('unary calls, with 1 MiB values', async () => {
    const [key, value] = [Buffer.from('k'), Buffer.alloc(1 << 20, 'v')];
    const request = PutRequest.encode(PutRequest.fromPartial({ key, value })).finish();
    await channel.unary('/etcdserverpb.KV/Put', request, { timeoutMs: 5_000 });
    const { kvs } = (await range({ key })) as { kvs: { value: Uint8Array }[] };
    expect(Buffer.from(kvs[0]?.value ?? []).equals(value)).toBe(true);
  });

  it('errors', async () => {
    await expect(range({ key: Buffer.from('k'), revision: 1_000n })).rejects.toMatchObject({
      code: GrpcStatus.OutOfRange,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    const large = Buffer.alloc(3 << 20);
    const request = PutRequest.encode(
      PutRequest.fromPartial({ key: Buffer.from('k'), value: large }),
    ).finish();
    await expect(channel.unary('/etcdserverpb.KV/Put', request)).rejects.toMatchObject({
      code: GrpcStatus.ResourceExhausted,
      message: expect.stringMatching(/received message larger than max/) as string,
    });
    await expect(channel.unary('/etcdserverpb.KV/Nothing', Buffer.alloc(0))).rejects.toMatchObject({
      code: GrpcStatus.Unimplemented,
    });
  });

  it('a watch stream and its cancellation', async () => {
    const stream = channel.stream('/etcdserverpb.Watch/Watch');
    const values: string[] = [];
    let put: Promise<void> = Promise.resolve();
    const seen = new Promise<void>((resolve) => {
      stream.onMessage = (message) => {
        const { created, events } = WatchResponse.decode(new Uint8Array(message));
        for (const { kv } of events) values.push(Buffer.from(kv?.value ?? []).toString());
        if (values.length === 3) resolve();
        if (created) put = putThrice();
      };
    });
    async function putThrice(): Promise<void> {
      for (const text of ['1', '2', '3']) {
        const request = PutRequest.fromPartial({ key: Buffer.from('w'), value: Buffer.from(text) });
        await channel.unary('/etcdserverpb.KV/Put', PutRequest.encode(request).finish());
      }
    }
    const create = { $case: 'create_request' as const, value: { key: Buffer.from('w') } };
    stream.send(WatchRequest.encode(WatchRequest.fromPartial({ request_union: create })).finish());
    await seen;
    await put;
    expect(values).toEqual(['1', '2', '3']);
    const ended = new Promise<GrpcStatus | undefined>((resolve) => {
      stream.onEnd = (error) => resolve(error?.code);
    });
    stream.cancel();
    expect(await ended).toBe(GrpcStatus.Canceled);
  });
});
