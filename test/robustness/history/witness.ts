import { judgeStore, type StoreCall } from '../../linearizability/store-checker.js';
import { type StepOutput, type StoreStep } from '../../linearizability/store-model.js';
import { type Operation, type Outcome } from './operation.js';

/** Steps of the search per call; a history of this kind needs a few. */
const stepsPerCall = 200;

type Done = Outcome & { readonly kind: 'done' };

/** What an operation does to one key. */
interface KeyCall {
  readonly key: string;
  /** The revision that it compares the key's last change with. */
  readonly mod?: number;
  readonly success: StoreStep;
  readonly failure?: StoreStep;
  readonly answer: (done: Done) => StepOutput;
}

/**
 * A second opinion, from nothing but calls and answers: whether they are linearizable, key by key, in real time. It
 * looks neither at the log nor at the order of revisions. Only keys under `prefix`, which no lease removes, for the end
 * of a lease is nobody's call.
 *
 * @returns what is wrong, in words; empty when nothing is.
 */
export function hearWitness(operations: readonly Operation[], prefix: string): string[] {
  const calls = callsOf(operations, prefix);
  const { verdict, ordered, stuck } = judgeStore(calls, stepsPerCall * calls.length);
  if (verdict === 'linearizable') return [];
  if (verdict === 'undecided') return [`no order of ${calls.length} calls was found or excluded`];
  const open = stuck.map(({ input, output }) => JSON.stringify({ ...input, output }));
  return [`no order explains the answers; ${ordered} calls have a place, then one of: ${open.join('; ')}`];
}

/** One call per key: a history is linearizable only if that of each key is. */
function callsOf(operations: readonly Operation[], prefix: string): StoreCall[] {
  return operations.flatMap(({ id, request, outcome, calledAt, answeredAt }, client) => {
    if (outcome.kind === 'failed') return [];
    const concerned = keyCalls(id, request).filter(({ key }) => key.startsWith(prefix));
    return concerned.map(({ key, mod, success, failure, answer }): StoreCall => {
      const compares = mod === undefined ? [] : [{ key, mod }];
      const input = { compares, success: [success], failure: failure === undefined ? [] : [failure] };
      if (outcome.kind === 'unknown')
        return { client, input, output: undefined, calledAt, returnedAt: Infinity };
      const { revision, succeeded = true } = outcome;
      const output = { revision, succeeded, steps: [answer(outcome)] };
      return { client, input, output, calledAt, returnedAt: answeredAt };
    });
  });
}

function keyCalls(id: string, request: Operation['request']): KeyCall[] {
  switch (request.kind) {
    case 'put':
      return [putting(request.key, id)];
    case 'delete':
      return [removing(request.key)];
    case 'batch': {
      const { puts, remove } = request;
      return [...puts.map((key) => putting(key, id)), ...(remove === undefined ? [] : [removing(remove)])];
    }
    case 'swap': {
      const { key, expected } = request;
      const answer = (done: Done): StepOutput => (done.succeeded === true ? {} : found(done));
      return [{ ...putting(key, id), mod: expected, failure: { kind: 'get', key }, answer }];
    }
    case 'read': {
      const { key } = request;
      return request.isLocal === true ? [] : [{ key, success: { kind: 'get', key }, answer: found }];
    }
    case 'grant':
    case 'renew':
    case 'revoke':
      return [];
  }
}

function putting(key: string, value: string): KeyCall {
  return { key, success: { kind: 'put', key, value }, answer: () => ({}) };
}

function removing(key: string): KeyCall {
  return { key, success: { kind: 'delete', key }, answer: ({ deleted = 0 }) => ({ deleted }) };
}

function found({ found: key }: Done): StepOutput {
  return key === undefined ? { value: undefined } : { value: key.writer, mod: key.modRevision };
}
