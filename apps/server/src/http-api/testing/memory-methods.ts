import { Buffer } from 'node:buffer';
import { etcdserverpb, GrpcStatus, ProtocolError, v3lockpb } from '@conclave/protocol';
import {
  type Method,
  type MethodTable,
  type ResponseStream,
  type UnaryMethod,
} from '../../engine/requests/method.js';

const header = {
  cluster_id: 14_841_639_068_965_178_418n,
  member_id: 10_276_657_743_932_975_437n,
  revision: 2n,
  raft_term: 3n,
};

function unary(answer: (request: Uint8Array, token: string | undefined) => Uint8Array): UnaryMethod {
  return {
    kind: 'unary',
    call(request, context, reply) {
      try {
        reply(undefined, answer(request, context.token));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        reply(error, undefined);
      }
    },
  };
}

/** A tiny store behind a table of methods: what specs of the HTTP API talk to, in real encoding. */
export class MemoryMethods {
  readonly store = new Map<string, Buffer>();
  readonly watches: ResponseStream[] = [];
  tokens: (string | undefined)[] = [];
  cancelled = 0;
  /** Calls that are never answered. */
  waiting = 0;
  halfClosed = 0;
  /** Set: reads fail with this. */
  rangeError: ProtocolError | undefined;

  readonly table: MethodTable = new Map<string, Method>([
    ['/etcdserverpb.KV/Put', unary((request, token) => this.#put(request, token))],
    ['/etcdserverpb.KV/Range', unary((request) => this.#range(request))],
    [
      '/etcdserverpb.Watch/Watch',
      { kind: 'stream', open: (_context, responses) => this.#openWatch(responses) },
    ],
    [
      '/etcdserverpb.Lease/LeaseKeepAlive',
      { kind: 'stream', open: (_context, responses) => this.#openKeepAlive(responses) },
    ],
    [
      '/etcdserverpb.Maintenance/Snapshot',
      { kind: 'stream', open: (_context, responses) => this.#openSnapshot(responses) },
    ],
    ['/v3lockpb.Lock/Lock', this.#waitingLock()],
  ]);

  #put(bytes: Uint8Array, token: string | undefined): Uint8Array {
    this.tokens.push(token);
    const { key, value } = etcdserverpb.PutRequest.decode(bytes);
    if (key.length === 0) throw ProtocolError.of('EmptyKey');
    this.store.set(Buffer.from(key).toString('latin1'), Buffer.from(value));
    return etcdserverpb.PutResponse.encode(etcdserverpb.PutResponse.fromPartial({ header })).finish();
  }

  #range(bytes: Uint8Array): Uint8Array {
    if (this.rangeError !== undefined) throw this.rangeError;
    const { key } = etcdserverpb.RangeRequest.decode(bytes);
    const value = this.store.get(Buffer.from(key).toString('latin1'));
    const kvs =
      value === undefined ? [] : [{ key, value, create_revision: 2n, mod_revision: 2n, version: 1n }];
    return etcdserverpb.RangeResponse.encode(
      etcdserverpb.RangeResponse.fromPartial({ header, kvs, count: BigInt(kvs.length) }),
    ).finish();
  }

  #openWatch(responses: ResponseStream): ReturnType<Extract<Method, { kind: 'stream' }>['open']> {
    this.watches.push(responses);
    let next = 0n;
    return {
      message: (bytes) => {
        const request = etcdserverpb.WatchRequest.decode(bytes).request_union;
        if (request?.$case === 'create_request')
          sendWatch(responses, { header, watch_id: next++, created: true });
        if (request?.$case === 'cancel_request')
          sendWatch(responses, { header, watch_id: request.value.watch_id, canceled: true });
      },
      halfClose: () => void this.halfClosed++,
      cancel: () => void this.cancelled++,
    };
  }

  #openKeepAlive(responses: ResponseStream): ReturnType<Extract<Method, { kind: 'stream' }>['open']> {
    return {
      message: (bytes) => {
        const { ID } = etcdserverpb.LeaseKeepAliveRequest.decode(bytes);
        const response = etcdserverpb.LeaseKeepAliveResponse.fromPartial({ header, ID, TTL: 60n });
        responses.send(etcdserverpb.LeaseKeepAliveResponse.encode(response).finish());
      },
      halfClose: () => responses.end(),
      cancel: () => void this.cancelled++,
    };
  }

  /** Two chunks, then an error in the middle of the stream. */
  #openSnapshot(responses: ResponseStream): ReturnType<Extract<Method, { kind: 'stream' }>['open']> {
    return {
      message: () => {
        const chunk = etcdserverpb.SnapshotResponse.fromPartial({
          remaining_bytes: 3n,
          blob: Buffer.from('abc'),
        });
        responses.send(etcdserverpb.SnapshotResponse.encode(chunk).finish());
      },
      halfClose: () => responses.end(ProtocolError.unnamed(GrpcStatus.DataLoss, 'the snapshot broke off')),
      cancel: () => void this.cancelled++,
    };
  }

  #waitingLock(): UnaryMethod {
    return {
      kind: 'unary',
      call: (request, context) => {
        v3lockpb.LockRequest.decode(request);
        this.waiting++;
        context.onCancel = () => void this.cancelled++;
      },
    };
  }
}

type WatchParts = Parameters<typeof etcdserverpb.WatchResponse.fromPartial>[0];

export function sendWatch(responses: ResponseStream, parts: WatchParts): boolean {
  return responses.send(
    etcdserverpb.WatchResponse.encode(etcdserverpb.WatchResponse.fromPartial(parts)).finish(),
  );
}
