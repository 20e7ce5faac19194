import { Buffer } from 'node:buffer';
import { etcdserverpb, type ProtocolError } from '@conclave/protocol';
import { rangeQuery } from '../apply/range-query.js';
import { rangeBody } from '../apply/response-body.js';
import { type ByteString } from '../backend/backend.js';
import { varintSize, writeVarint } from '../mvcc/varint.js';
import { type RangeQuery, type RangeResult } from '../mvcc/range-query.js';
import { asProtocolError, decodeRequest } from './decode.js';
import { validateRange } from './kv-validation.js';
import { type Reply, type UnaryMethod } from './method.js';
import { RangeDurations } from './range-durations.js';
import { type RequestParts } from './request-parts.js';
import { unary } from './unary.js';

/** Rows of one slice: below 2 ms at 0.3 to 0.4 µs a row and the copying of values. */
const rowsPerSlice = 2_000;

/** Tag of RangeRequest.key: field 1, length-delimited. */
const keyTag = 0x0a;
/** Tags of RangeResponse.kvs, length-delimited, and of RangeResponse.count, a varint. */
const kvsTag = 0x12;
const countTag = 0x20;

/** KV.Range: linearizable unless asked otherwise, at one revision however long it takes. */
export function rangeMethod(parts: RequestParts): UnaryMethod {
  const durations = new RangeDurations(parts.meter, parts.clock);
  const handle: Parameters<typeof unary>[0] = (bytes, reply, context) => {
    const key = soleKey(bytes);
    if (key !== undefined) return readKey(parts, durations, key, reply);
    const request = decodeRequest(etcdserverpb.RangeRequest, bytes);
    validateRange(request);
    const query = rangeQuery(request);
    const answer = (error: ProtocolError | undefined, result: RangeResult | undefined): void => {
      if (error !== undefined || result === undefined) return reply(error, undefined);
      reply(undefined, parts.header.response(result.revision, rangeBody(result)));
    };
    let cancelled = false;
    context.onCancel = () => (cancelled = true);
    whenReadable(parts, request.serializable, (error) => {
      if (error !== undefined) return answer(error, undefined);
      parts.machine.kv.counts.ranges++;
      const begun = durations.begin();
      readRange(
        parts,
        query,
        () => cancelled,
        (refusal, result) => {
          durations.end(begun, refusal === undefined);
          answer(refusal, result);
        },
      );
    });
  };
  return unary(handle, { readsAtOnce: true });
}

/**
 * The key of a request that has nothing but a key, by far the most frequent one: a linearizable read of one key as it is
 * now. Undefined for all others, which are decoded in full.
 */
function soleKey(bytes: Uint8Array): ByteString | undefined {
  const length = bytes.length - 2;
  const isSole = length > 0 && length < 0x80 && bytes[0] === keyTag && bytes[1] === length;
  return isSole ? Buffer.from(bytes.buffer, bytes.byteOffset + 2, length).toString('latin1') : undefined;
}

function readKey(parts: RequestParts, durations: RangeDurations, key: ByteString, reply: Reply): void {
  parts.replica.linearizable((error) => {
    if (error !== undefined) return reply(error, undefined);
    parts.machine.kv.counts.ranges++;
    const begun = durations.begin();
    const response = currentResponse(parts, key);
    durations.end(begun);
    reply(undefined, response);
  });
}

/** The answer for one key as it is now, written in one go: etcdserverpb.RangeResponse with `kvs` and `count`, or neither. */
function currentResponse({ store, header }: RequestParts, key: ByteString): Buffer {
  const row = store.current(key);
  if (row === undefined) return header.begin(store.currentRevision, 0);
  const { bytes, keyValueStart, keyValueEnd } = row;
  const length = keyValueEnd - keyValueStart;
  const message = header.begin(store.currentRevision, 1 + varintSize(length) + length + 2);
  message[header.bodyAt] = kvsTag;
  const at = writeVarint(message, header.bodyAt + 1, length);
  message.set(bytes.subarray(keyValueStart, keyValueEnd), at);
  message[at + length] = countTag;
  message[at + length + 1] = 1;
  return message;
}

/** Calls back when local state may answer: at once for a serializable read. */
export function whenReadable(
  parts: RequestParts,
  serializable: boolean,
  done: (error: ProtocolError | undefined) => void,
): void {
  if (serializable) done(undefined);
  else parts.replica.linearizable(done);
}

/**
 * Reads a range: one key at once, more in slices between which others get their turn. The revision is fixed when the
 * first slice starts. A cancelled caller is not called back.
 */
export function readRange(
  parts: RequestParts,
  query: RangeQuery,
  isCancelled: () => boolean,
  done: (error: ProtocolError | undefined, result: RangeResult | undefined) => void,
): void {
  const attempt = (step: () => RangeResult | undefined): void => {
    let result: RangeResult | undefined;
    try {
      result = step();
    } catch (error) {
      return done(asProtocolError(error), undefined);
    }
    if (result !== undefined) return done(undefined, result);
    parts.clock.defer(() => {
      if (!isCancelled()) attempt(step);
    });
  };
  if (query.bounds.single) return attempt(() => parts.store.range(query));
  let scan: ReturnType<typeof parts.store.rangeSlices> | undefined;
  attempt(() => {
    scan ??= parts.store.rangeSlices(query);
    return scan.step(rowsPerSlice);
  });
}
