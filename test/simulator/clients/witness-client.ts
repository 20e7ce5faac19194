import { etcdserverpb } from '@conclave/protocol';
import { type StoreCall } from '../../linearizability/store-checker.js';
import {
  type StepOutput,
  type StoreInput,
  type StoreOutput,
  type StoreStep,
} from '../../linearizability/store-model.js';
import { isUnknown } from '../checks/oracle.js';
import { type Draw } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { Connection, type ClientParts } from './connection.js';
import { type Outcome, type Request } from './invocation.js';
import * as requests from './requests.js';

const { Compare, RequestOp, TxnRequest } = etcdserverpb;
const { Compare_CompareResult: Result, Compare_CompareTarget: Target } = etcdserverpb;

/** Sort before the keys of all others, and are in nobody's ranges. */
const keys = ['a0', 'a1', 'a2'];

/** Keeps to a few keys of its own kind, and writes down what it saw: for a checker that knows nothing but that. */
export class WitnessClient {
  private readonly connection: Connection;
  private readonly seen = new Map<string, number>();
  private count = 0;

  /** @param wide Whether it makes transactions over several keys. @param history Where all witnesses write. */
  constructor(
    private readonly parts: ClientParts,
    private readonly thinkMs: number,
    private readonly number: number,
    private readonly wide: boolean,
    private readonly history: StoreCall[],
  ) {
    this.connection = new Connection(parts, number);
  }

  start(): void {
    this.pause();
  }

  broken(member: Member): void {
    this.connection.broken(member);
  }

  get isWaiting(): boolean {
    return this.connection.isWaiting;
  }

  private pause(): void {
    const { fate, schedule } = this.parts;
    const pause = fate.below(2_000 * this.thinkMs, 'pause', this.number, this.count) / 1000;
    schedule.after(pause, `witness ${this.number} is awake`, () => this.ask());
  }

  private ask(): void {
    const { fate, schedule } = this.parts;
    if (this.connection.home.find() === undefined) {
      schedule.after(40, `witness ${this.number} tries again`, () => this.ask());
      return;
    }
    if (!this.parts.takeOperation()) return;
    const input = this.draw(fate.draw('witness', this.number, ++this.count));
    const calledAt = schedule.now;
    this.connection.call(requestOf(input), (outcome) => {
      this.record(input, calledAt, outcome);
      this.pause();
    });
  }

  private record(input: StoreInput, calledAt: number, outcome: Outcome): void {
    const { now } = this.parts.schedule;
    const output = outcome.kind === 'ok' ? outputOf(input, outcome.response) : undefined;
    // Refused requests have had no effect, but for those of which it is not said.
    if (outcome.kind === 'refused' && !isUnknown(outcome.error)) return;
    const returnedAt = output === undefined ? Number.POSITIVE_INFINITY : now;
    this.history.push({ client: this.number, input, output, calledAt, returnedAt });
    if (output === undefined) return;
    const steps = output.succeeded ? input.success : input.failure;
    steps.forEach(({ kind, key }, at) => {
      if (kind === 'get') this.seen.set(key, output.steps[at].mod ?? 0);
      else this.seen.set(key, kind === 'put' ? output.revision : 0);
    });
  }

  private draw(draw: Draw): StoreInput {
    const key = draw.pick(keys);
    const put = (of: string): StoreStep => ({
      kind: 'put',
      key: of,
      value: `${this.number}.${this.count}.${of}`,
    });
    const get: StoreStep = { kind: 'get', key };
    if (this.wide && draw.chance(0.6)) {
      const gets = keys.map((each): StoreStep => ({ kind: 'get', key: each }));
      const pair = keys.filter((each) => each !== key);
      return { compares: [], success: draw.chance(0.5) ? gets : pair.map(put), failure: [] };
    }
    const point = draw.next();
    if (point < 0.35) return { compares: [], success: [get], failure: [] };
    if (point < 0.65) return { compares: [], success: [put(key)], failure: [] };
    if (point < 0.75) return { compares: [], success: [{ kind: 'delete', key }], failure: [] };
    return { compares: [{ key, mod: this.seen.get(key) ?? 0 }], success: [put(key)], failure: [get] };
  }
}

function isPlain({ compares, success }: StoreInput): boolean {
  return compares.length === 0 && success.length === 1;
}

function requestOf(input: StoreInput): Request {
  const { compares, success, failure } = input;
  if (isPlain(input)) {
    const { request } = operation(success[0]);
    if (request?.$case === 'request_put') return requests.putRequest(request.value);
    if (request?.$case === 'request_range') return requests.rangeRequest(request.value);
    if (request?.$case === 'request_delete_range') return requests.deleteRequest(request.value);
  }
  const txn = TxnRequest.fromPartial({
    compare: compares.map(({ key, mod }) =>
      Compare.fromPartial({
        key: Buffer.from(key),
        result: Result.EQUAL,
        target: Target.MOD,
        target_union: { $case: 'mod_revision', value: BigInt(mod) },
      }),
    ),
    success: success.map(operation),
    failure: failure.map(operation),
  });
  const isRead = success.every(({ kind }) => kind === 'get');
  return isRead ? requests.readTxnRequest(txn) : requests.txnRequest(txn);
}

function operation(step: StoreStep): etcdserverpb.RequestOp {
  const key = Buffer.from(step.key);
  switch (step.kind) {
    case 'get': {
      const value = etcdserverpb.RangeRequest.fromPartial({ key });
      return RequestOp.fromPartial({ request: { $case: 'request_range', value } });
    }
    case 'put': {
      const value = etcdserverpb.PutRequest.fromPartial({ key, value: Buffer.from(step.value) });
      return RequestOp.fromPartial({ request: { $case: 'request_put', value } });
    }
    case 'delete': {
      const value = etcdserverpb.DeleteRangeRequest.fromPartial({ key });
      return RequestOp.fromPartial({ request: { $case: 'request_delete_range', value } });
    }
  }
}

function outputOf(input: StoreInput, response: Uint8Array): StoreOutput {
  if (!isPlain(input)) {
    const { header, succeeded, responses } = etcdserverpb.TxnResponse.decode(response);
    const steps = responses.map(({ response: each }) => stepOf(each));
    return { revision: Number(header!.revision), succeeded, steps };
  }
  const plain = decodePlain(input.success[0].kind, response);
  return { revision: Number(plain.value.header!.revision), succeeded: true, steps: [stepOf(plain)] };
}

type PlainResponse = Exclude<etcdserverpb.ResponseOp['response'], undefined | { $case: 'response_txn' }>;

function decodePlain(kind: StoreStep['kind'], response: Uint8Array): PlainResponse {
  if (kind === 'get') return { $case: 'response_range', value: etcdserverpb.RangeResponse.decode(response) };
  if (kind === 'put') return { $case: 'response_put', value: etcdserverpb.PutResponse.decode(response) };
  return { $case: 'response_delete_range', value: etcdserverpb.DeleteRangeResponse.decode(response) };
}

function stepOf(response: etcdserverpb.ResponseOp['response']): StepOutput {
  if (response?.$case === 'response_delete_range') return { deleted: Number(response.value.deleted) };
  if (response?.$case !== 'response_range' || response.value.kvs.length === 0) return {};
  const [{ value, mod_revision: mod }] = response.value.kvs;
  return { value: value.toString('latin1'), mod: Number(mod) };
}
