import { etcdserverpb, GrpcStatus, ProtocolError, WireWriter } from '@conclave/protocol';
import { rangeQuery } from '../apply/range-query.js';
import { rangeBody } from '../apply/response-body.js';
import { type RangeQuery, type RangeResult } from '../mvcc/range-query.js';
import { asProtocolError, decodeRequest } from './decode.js';
import { validateRange } from './kv-validation.js';
import { type RequestStream, type ResponseStream, type StreamMethod } from './method.js';
import { readRange, whenReadable } from './range.js';
import { type RequestParts } from './request-parts.js';

/** The first chunk has so many keys; the number adapts from there. */
const firstChunkKeys = 10;

/**
 * KV.RangeStream (etcd 3.7): one range in chunks, all at the revision of the first. Only the last chunk has header,
 * more and count; all chunks merged are the answer of a unary Range.
 */
export function rangeStreamMethod(parts: RequestParts): StreamMethod {
  return { kind: 'stream', open: (_context, responses) => new RangeStream(parts, responses) };
}

class RangeStream implements RequestStream {
  private query: RangeQuery | undefined;
  private revision = 0;
  private headerRevision = 0;
  private total = 0;
  private sent = 0;
  private chunkKeys = firstChunkKeys;
  private cancelled = false;

  constructor(
    private readonly parts: RequestParts,
    private readonly responses: ResponseStream,
  ) {
    responses.onDrain = () => this.nextChunk();
  }

  message(bytes: Uint8Array): void {
    if (this.query !== undefined) return;
    try {
      const request = decodeRequest(etcdserverpb.RangeRequest, bytes);
      validateRange(request);
      refuseUnsupported(request);
      this.query = rangeQuery(request);
      whenReadable(this.parts, request.serializable, (error) =>
        error === undefined ? this.begin() : this.fail(error),
      );
    } catch (error) {
      this.fail(asProtocolError(error));
    }
  }

  halfClose(): void {}

  cancel(): void {
    this.cancelled = true;
  }

  /** Counts first: the count does not depend on the limit, and the chunks after the first see less than the range. */
  private begin(): void {
    this.parts.machine.kv.counts.ranges++;
    const query = this.query!;
    const counted = (error: ProtocolError | undefined, result: RangeResult | undefined): void => {
      if (error !== undefined || result === undefined) return this.fail(error!);
      this.total = result.count;
      this.headerRevision = result.revision;
      this.revision = query.revision === undefined || query.revision <= 0 ? result.revision : query.revision;
      if (query.countOnly === true) this.finish(emptyRange);
      else this.nextChunk();
    };
    readRange(this.parts, { ...query, countOnly: true }, () => this.cancelled, counted);
  }

  private nextChunk(): void {
    const query = this.query;
    if (query === undefined || this.cancelled) return;
    const left = (query.limit ?? 0) > 0 ? query.limit! - this.sent : Number.MAX_SAFE_INTEGER;
    // Counted once, at the beginning: counting what follows each chunk would cost more than the chunks.
    const limit = Math.min(left, this.chunkKeys);
    const chunk = { ...query, revision: this.revision, limit, uncounted: true };
    readRange(
      this.parts,
      chunk,
      () => this.cancelled,
      (error, result) => {
        if (error !== undefined || result === undefined) return this.fail(error!);
        this.deliver(result, left);
      },
    );
  }

  private deliver(result: RangeResult, left: number): void {
    const query = this.query!;
    this.sent += result.length;
    if (!result.more || result.length >= left) return this.finish(result);
    const lastKey = result.kvs[result.length - 1].key;
    this.query = { ...query, bounds: { ...query.bounds, from: `${lastKey}\0`, single: false } };
    this.adapt(result.encodedKvs.length);
    const message = new WireWriter(result.encodedKvs.length + 8).message(1, result.encodedKvs).take();
    if (this.responses.send(message)) this.parts.clock.defer(() => this.nextChunk());
  }

  /** Doubles the chunk while it is small beside the largest request, halves it when it exceeds that. */
  private adapt(bytes: number): void {
    const most = this.parts.limits.maxRequestBytes;
    if (bytes * 2 <= most) this.chunkKeys *= 2;
    else if (bytes > most) this.chunkKeys = Math.max(1, this.chunkKeys >> 1);
  }

  private finish(result: Pick<RangeResult, 'encodedKvs'>): void {
    const more = this.sent < this.total && this.query!.countOnly !== true;
    const body = rangeBody({ encodedKvs: result.encodedKvs, more, count: this.total });
    const response = this.parts.header.response(this.headerRevision, body);
    this.cancelled = true;
    this.responses.send(new WireWriter(response.length + 8).message(1, response).take());
    this.responses.end();
  }

  private fail(error: ProtocolError): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.responses.end(error);
  }
}

const emptyRange = { encodedKvs: new Uint8Array(0) };

/** @throws ProtocolError Unimplemented */
function refuseUnsupported(request: etcdserverpb.RangeRequest): void {
  const { SortOrder, SortTarget } = {
    SortOrder: etcdserverpb.RangeRequest_SortOrder,
    SortTarget: etcdserverpb.RangeRequest_SortTarget,
  };
  const sorted =
    request.sort_target !== SortTarget.KEY ||
    (request.sort_order !== SortOrder.NONE && request.sort_order !== SortOrder.ASCEND);
  if (sorted) {
    throw ProtocolError.unnamed(GrpcStatus.Unimplemented, 'RangeStream does not support custom sort orders');
  }
  const filters = [
    request.min_mod_revision,
    request.max_mod_revision,
    request.min_create_revision,
    request.max_create_revision,
  ];
  if (filters.some((revision) => revision !== 0n)) {
    throw ProtocolError.unnamed(GrpcStatus.Unimplemented, 'RangeStream does not support revision filters');
  }
}
