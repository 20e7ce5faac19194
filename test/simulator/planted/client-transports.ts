import {
  type Clock,
  type Transport,
  type TransportFactory,
  type TransportObserver,
  type TransportStream,
} from '@conclave/client';
import { etcdserverpb, mvccpb } from '@conclave/protocol';

const { LeaseGrantResponse, LeaseKeepAliveResponse, TxnRequest, TxnResponse } = etcdserverpb;

/** What the client takes off a TTL, at least. */
const marginSeconds = 1n;

/** Makes a transport out of another one. */
function wrap(
  transports: TransportFactory,
  changed: (transport: Transport) => Partial<Transport>,
): TransportFactory {
  return (endpoint, options) => {
    const inner = transports(endpoint, options);
    const plain: Transport = {
      unary: (path, request, given) => inner.unary(path, request, given),
      stream: (path, given, observer) => inner.stream(path, given, observer),
      close: () => inner.close(),
    };
    return { ...plain, ...changed(inner) };
  };
}

/** The client believes for a whole TTL after it heard, instead of after it asked: what the way took is added to each TTL. */
export function believeFromReceipt(transports: TransportFactory, clock: Clock): TransportFactory {
  const longer = (ttl: bigint, sentMs: number): bigint => {
    if (ttl <= 0n) return ttl;
    return ttl + BigInt(Math.ceil((clock.monotonic() - sentMs) / 1_000)) + marginSeconds;
  };
  return wrap(transports, (inner) => ({
    unary: async (path, request, options) => {
      const sentMs = clock.monotonic();
      const bytes = await inner.unary(path, request, options);
      if (!path.endsWith('/LeaseGrant')) return bytes;
      const response = LeaseGrantResponse.decode(bytes);
      return LeaseGrantResponse.encode({ ...response, TTL: longer(response.TTL, sentMs) }).finish();
    },
    stream: (path, options, observer) => {
      if (!path.endsWith('/LeaseKeepAlive')) return inner.stream(path, options, observer);
      return lateRenewals((own) => inner.stream(path, options, own), observer, clock, longer);
    },
  }));
}

function lateRenewals(
  open: (observer: TransportObserver) => TransportStream,
  observer: TransportObserver,
  clock: Clock,
  longer: (ttl: bigint, sentMs: number) => bigint,
): TransportStream {
  const sent: number[] = [];
  const stream = open({
    message: (bytes) => {
      const response = LeaseKeepAliveResponse.decode(bytes);
      const TTL = longer(response.TTL, sent.shift() ?? clock.monotonic());
      observer.message(LeaseKeepAliveResponse.encode({ ...response, TTL }).finish());
    },
    end: (error) => observer.end(error),
  });
  return {
    send: (message) => {
      sent.push(clock.monotonic());
      stream.send(message);
    },
    cancel: () => stream.cancel(),
  };
}

/** The client does not look whether its own key is still there when its predecessor has gone: it sees the key as it last was. */
export function ownKeyNotReadAgain(transports: TransportFactory): TransportFactory {
  const remembered = new Map<string, mvccpb.KeyValue>();
  return wrap(transports, (inner) => ({
    unary: async (path, bytes, options) => {
      const answer = await inner.unary(path, bytes, options);
      if (!path.endsWith('/Txn')) return answer;
      const request = TxnRequest.decode(bytes);
      const response = TxnResponse.decode(answer);
      remember(remembered, request, response);
      return TxnResponse.encode(pretend(remembered, request, response)).finish();
    },
  }));
}

/** Puts the key of a claim down, as its transaction has made or found it. */
function remember(
  remembered: Map<string, mvccpb.KeyValue>,
  request: etcdserverpb.TxnRequest,
  response: etcdserverpb.TxnResponse,
): void {
  const [first] = request.success;
  if (!response.succeeded || first?.request?.$case !== 'request_put') return;
  const { key, value, lease } = first.request.value;
  const revision = response.header!.revision;
  const entry = { key, value, lease, create_revision: revision, mod_revision: revision, version: 1n };
  remembered.set(key.toString('latin1'), mvccpb.KeyValue.fromPartial(entry));
}

/** A look at an own key that has gone is answered as if it were there. */
function pretend(
  remembered: Map<string, mvccpb.KeyValue>,
  { success }: etcdserverpb.TxnRequest,
  response: etcdserverpb.TxnResponse,
): etcdserverpb.TxnResponse {
  const [look] = success;
  const [found] = response.responses;
  if (look?.request?.$case !== 'request_range' || found?.response?.$case !== 'response_range')
    return response;
  const entry = remembered.get(look.request.value.key.toString('latin1'));
  if (entry === undefined || found.response.value.kvs.length > 0) return response;
  const value = { ...found.response.value, kvs: [entry], count: 1n };
  const first = { response: { $case: 'response_range' as const, value } };
  return { ...response, responses: [first, ...response.responses.slice(1)] };
}
