import { type Draw } from '../../simulator/world/fate.js';
import { type StoreCall } from '../store-checker.js';
import { type StepOutput, type StoreInput, type StoreOutput, type StoreStep } from '../store-model.js';

export interface Shape {
  readonly clients: number;
  readonly calls: number;
  readonly keys: number;
  /** Share of calls whose answer is lost. */
  readonly lost: number;
  /** Whether calls may be transactions over several keys. */
  readonly wide: boolean;
}

interface Client {
  readonly number: number;
  now: number;
  /** What it last learned of each key. */
  readonly seen: Map<string, number>;
}

interface Planned {
  readonly client: Client;
  readonly input: StoreInput;
  readonly calledAt: number;
  /** When it takes effect; infinite for never. */
  readonly effectAt: number;
  readonly returnedAt: number;
}

/** A store that really is linearizable: every call takes effect at one moment between call and answer. */
class Store {
  private revision = 1;
  private readonly rows = new Map<string, { value: string; mod: number }>();

  run({ compares, success, failure }: StoreInput): StoreOutput {
    const succeeded = compares.every(({ key, mod }) => (this.rows.get(key)?.mod ?? 0) === mod);
    const next = this.revision + 1;
    const steps = (succeeded ? success : failure).map((step) => this.step(step, next));
    return { revision: this.revision, succeeded, steps };
  }

  private step(step: StoreStep, next: number): StepOutput {
    const row = this.rows.get(step.key);
    switch (step.kind) {
      case 'get':
        return row === undefined ? {} : { value: row.value, mod: row.mod };
      case 'put':
        this.revision = next;
        this.rows.set(step.key, { value: step.value, mod: next });
        return {};
      case 'delete':
        if (row === undefined) return { deleted: 0 };
        this.revision = next;
        this.rows.delete(step.key);
        return { deleted: 1 };
    }
  }
}

/** A history of concurrent clients on a store that is linearizable. Values are unique. */
export function generate(draw: Draw, shape: Shape): StoreCall[] {
  const clients: Client[] = Array.from({ length: shape.clients }, (_, at) => ({
    number: at + 1,
    now: draw.next() * 3,
    seen: new Map(),
  }));
  const store = new Store();
  const pending: Planned[] = [];
  const history: StoreCall[] = [];
  const busy = new Set<Client>();
  let planned = 0;
  for (;;) {
    const idle = clients.filter((client) => !busy.has(client) && planned < shape.calls);
    const next = idle.sort((a, b) => a.now - b.now)[0] as Client | undefined;
    const effect = pending.sort((a, b) => a.effectAt - b.effectAt)[0] as Planned | undefined;
    if (next !== undefined && (effect === undefined || next.now <= effect.effectAt)) {
      const plan = planCall(draw, shape, next, ++planned);
      pending.push(plan);
      if (plan.returnedAt !== Number.POSITIVE_INFINITY) busy.add(next);
      continue;
    }
    if (effect === undefined) return history;
    pending.shift();
    busy.delete(effect.client);
    history.push(finish(store, effect));
  }
}

function finish(store: Store, { client, input, calledAt, effectAt, returnedAt }: Planned): StoreCall {
  const result = effectAt === Number.POSITIVE_INFINITY ? undefined : store.run(input);
  const output = returnedAt === Number.POSITIVE_INFINITY ? undefined : result;
  if (output !== undefined) learn(client, input, output);
  return { client: client.number, input, output, calledAt, returnedAt };
}

function learn(client: Client, input: StoreInput, output: StoreOutput): void {
  const steps = output.succeeded ? input.success : input.failure;
  steps.forEach(({ kind, key }, at) => {
    if (kind === 'get') client.seen.set(key, output.steps[at].mod ?? 0);
    else client.seen.set(key, kind === 'put' ? output.revision : 0);
  });
}

function planCall(draw: Draw, shape: Shape, client: Client, number: number): Planned {
  const calledAt = client.now;
  const delay = (): number => 0.01 + draw.next() ** 3 * 4;
  const isLost = draw.chance(shape.lost);
  const soon = calledAt + delay();
  const late = calledAt + draw.next() * 40;
  const effectAt = isLost ? draw.pick([soon, late, Number.POSITIVE_INFINITY]) : soon;
  const returnedAt = isLost ? Number.POSITIVE_INFINITY : effectAt + delay();
  client.now = (isLost ? soon : returnedAt) + 0.01 + draw.next();
  const input =
    shape.wide && draw.chance(0.6) ? wideInput(draw, shape, number) : plainInput(draw, shape, client, number);
  return { client, input, calledAt, effectAt, returnedAt };
}

function plainInput(draw: Draw, shape: Shape, client: Client, number: number): StoreInput {
  const key = `k${draw.below(shape.keys)}`;
  const get: StoreStep = { kind: 'get', key };
  const put: StoreStep = { kind: 'put', key, value: `v${number}` };
  const point = draw.next();
  if (point < 0.35) return plain(get);
  if (point < 0.65) return plain(put);
  if (point < 0.75) return plain({ kind: 'delete', key });
  return { compares: [{ key, mod: client.seen.get(key) ?? 0 }], success: [put], failure: [get] };
}

export function plain(step: StoreStep): StoreInput {
  return { compares: [], success: [step], failure: [] };
}

/** A transaction that reads all keys or writes two of them. */
function wideInput(draw: Draw, shape: Shape, number: number): StoreInput {
  const keys = Array.from({ length: shape.keys }, (_, at) => `k${at}`);
  const gets = keys.map((key): StoreStep => ({ kind: 'get', key }));
  if (draw.chance(0.5)) return { compares: [], success: gets, failure: [] };
  const first = draw.below(keys.length);
  const pair = [keys[first], keys[(first + 1) % keys.length]];
  const puts = pair.map((key, at): StoreStep => ({ kind: 'put', key, value: `v${number}.${at}` }));
  const compares = draw.chance(0.3) ? [{ key: keys[first], mod: 0 }] : [];
  return { compares, success: puts, failure: [] };
}
