import { etcdserverpb, type mvccpb } from '@conclave/protocol';
import { type Chance } from '../../compat/chance.js';
import { type FoundKey, type Outcome, type Request, valueOf } from '../history/operation.js';
import { foundKey, type MemberClient, revisionOf } from './member-client.js';
import { type Recorder } from './recorder.js';
import { delay } from './within.js';

export const plainKeys = ['plain/a', 'plain/b', 'plain/c', 'plain/d'];
export const leasedKeys = ['leased/a', 'leased/b', 'leased/c', 'leased/d'];
const allKeys = [...plainKeys, ...leasedKeys];

type Done = Outcome & { kind: 'done' };

/** Identity and source of randomness of the writers of one history. */
export interface WriterOptions {
  readonly chance: Chance;
  readonly recorder: Recorder;
  /** Leases of this writer are `firstLease`, `firstLease + 1n`, … */
  readonly firstLease: bigint;
  /** The longest pause between two operations, ms. None by default. */
  readonly pauseMsMax?: number;
  /** How many of a hundred reads are content with what the member that is asked knows. None by default. */
  readonly localReads?: number;
}

/** One client that calls one operation after the other: all kinds, over a few keys that all writers have in common. */
export class Writer {
  private nextLease: bigint;
  private lease = 0n;

  constructor(private readonly options: WriterOptions) {
    this.nextLease = options.firstLease;
  }

  /** Writes until `isOver` says so or the connection is lost or closed. */
  async write(client: MemberClient, isOver: () => boolean): Promise<void> {
    await client.channel.connect().catch(() => undefined);
    const { pauseMsMax = 0, chance } = this.options;
    while (!isOver() && client.channel.state === 'ready') {
      const outcome = await this.step(client);
      // After this the lease may or may not exist: leave it alone.
      if (outcome.kind !== 'done' || outcome.ttlSeconds === 0) this.lease = 0n;
      if (pauseMsMax > 0) await delay(chance.below(pauseMsMax));
    }
  }

  /** One operation, as drawn. */
  private async step(client: MemberClient): Promise<Outcome> {
    const { chance } = this.options;
    const draw = chance.below(100);
    if (draw < 40) return this.put(client);
    if (draw < 50) return this.run(client, { kind: 'delete', key: chance.pick(plainKeys) });
    if (draw < 65) return this.batch(client);
    if (draw < 80) return this.swap(client);
    if (draw < 92) return this.read(client);
    if (this.lease === 0n) return this.grant(client);
    return chance.chance(0.7) ? this.run(client, { kind: 'renew', lease: this.lease }) : this.revoke(client);
  }

  private read(client: MemberClient): Promise<Outcome> {
    const { chance, localReads = 0 } = this.options;
    const isLocal = chance.below(100) < localReads;
    return this.run(client, { kind: 'read', key: chance.pick(allKeys), isLocal });
  }

  private put(client: MemberClient): Promise<Outcome> {
    const { chance } = this.options;
    const padding = chance.chance(0.04) ? chance.below(48 * 1024) : chance.below(200);
    const isLeased = this.lease !== 0n && chance.chance(0.6);
    const key = chance.pick(isLeased ? leasedKeys : allKeys);
    return this.run(client, { kind: 'put', key, lease: isLeased ? this.lease : 0n, padding });
  }

  private batch(client: MemberClient): Promise<Outcome> {
    const { chance } = this.options;
    const start = chance.below(allKeys.length);
    const drawn = Array.from(
      { length: 1 + chance.below(3) },
      (_, i) => allKeys[(start + i) % allKeys.length],
    );
    const remove = chance.chance(0.5) ? allKeys[(start + drawn.length) % allKeys.length] : undefined;
    return this.run(client, { kind: 'batch', puts: drawn, remove });
  }

  private async swap(client: MemberClient): Promise<Outcome> {
    const key = this.options.chance.pick(allKeys);
    const read = await this.run(client, { kind: 'read', key });
    if (read.kind !== 'done') return read;
    return this.run(client, { kind: 'swap', key, expected: read.found?.modRevision ?? 0 });
  }

  private async grant(client: MemberClient): Promise<Outcome> {
    const lease = this.nextLease++;
    const ttlSeconds = this.options.chance.chance(0.5) ? 2 : 3_600;
    const outcome = await this.run(client, { kind: 'grant', lease, ttlSeconds });
    if (outcome.kind === 'done') this.lease = lease;
    return outcome;
  }

  private revoke(client: MemberClient): Promise<Outcome> {
    const { lease } = this;
    this.lease = 0n;
    return this.run(client, { kind: 'revoke', lease });
  }

  private run(client: MemberClient, request: Request): Promise<Outcome> {
    const { recorder } = this.options;
    const id = recorder.nextId();
    return recorder.run(id, request, () => perform(client, id, request));
  }
}

/** Calls one operation. @throws GrpcError */
export async function perform(client: MemberClient, id: string, request: Request): Promise<Done> {
  switch (request.kind) {
    case 'put':
      return done(await client.put(request.key, valueOf(id, request.padding), request.lease));
    case 'delete': {
      const response = await client.delete(request.key);
      return { ...done(response), deleted: Number(response.deleted) };
    }
    case 'batch': {
      const removes = request.remove === undefined ? [] : [deleteOp(request.remove)];
      const success = [...removes, ...request.puts.map((key) => putOp(key, id))];
      const response = await client.txn({ compare: [], success, failure: [] });
      const [first] = response.responses;
      const removal = first?.response?.$case === 'response_delete_range' ? first.response.value : undefined;
      return { ...done(response), deleted: Number(removal?.deleted ?? 0) };
    }
    case 'swap':
      return swap(client, id, request.key, request.expected);
    case 'read': {
      const serializable = request.isLocal === true;
      const response = await client.range({ key: Buffer.from(request.key), serializable });
      return { ...done(response), found: firstOf(response.kvs) };
    }
    case 'grant':
      return done(await client.grant(request.lease, request.ttlSeconds));
    case 'renew': {
      const response = await client.keepAlive(request.lease);
      return { ...done(response), ttlSeconds: Number(response.TTL) };
    }
    case 'revoke':
      return done(await client.revoke(request.lease));
  }
}

async function swap(client: MemberClient, id: string, key: string, expected: number): Promise<Done> {
  const response = await client.txn({
    compare: [
      etcdserverpb.Compare.fromPartial({
        key: Buffer.from(key),
        result: etcdserverpb.Compare_CompareResult.EQUAL,
        target: etcdserverpb.Compare_CompareTarget.MOD,
        target_union: { $case: 'mod_revision', value: BigInt(expected) },
      }),
    ],
    success: [putOp(key, id)],
    failure: [
      {
        request: {
          $case: 'request_range',
          value: etcdserverpb.RangeRequest.fromPartial({ key: Buffer.from(key) }),
        },
      },
    ],
  });
  const [answer] = response.responses;
  const found = answer?.response?.$case === 'response_range' ? firstOf(answer.response.value.kvs) : undefined;
  return { ...done(response), succeeded: response.succeeded, found };
}

function putOp(key: string, id: string): etcdserverpb.RequestOp {
  const value = etcdserverpb.PutRequest.fromPartial({ key: Buffer.from(key), value: valueOf(id, 0) });
  return { request: { $case: 'request_put', value } };
}

function deleteOp(key: string): etcdserverpb.RequestOp {
  const value = etcdserverpb.DeleteRangeRequest.fromPartial({ key: Buffer.from(key) });
  return { request: { $case: 'request_delete_range', value } };
}

function done(response: Parameters<typeof revisionOf>[0]): Done {
  return { kind: 'done', revision: revisionOf(response) };
}

function firstOf(kvs: readonly mvccpb.KeyValue[]): FoundKey | undefined {
  return kvs.length === 0 ? undefined : foundKey(kvs[0]);
}
