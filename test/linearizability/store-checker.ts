import { type Call } from './history.js';
import { judge, type Judgement } from './search.js';
import { hasChanged, StoreModel, type StoreInput, type StoreOutput } from './store-model.js';

export type StoreCall = Call<StoreInput, StoreOutput>;
export type StoreJudgement = Judgement<StoreInput, StoreOutput>;

/**
 * Whether what the clients of a store saw is linearizable. Histories whose calls have one key each are taken apart by
 * key (linearizability is local) and judged by real time alone, as far as that can be decided; those with transactions over more keys are judged as a
 * whole, with the order that the revisions of their answers give.
 *
 * @returns the first violation, else an undecided part, else that all is well.
 */
export function judgeStore(history: readonly StoreCall[], budget?: number): StoreJudgement {
  // Most lost calls leave no trace, and may be taken for calls that never had an effect. An order without them will do.
  const seen = valuesRead(history);
  const likely = history.filter((call) => call.output !== undefined || mayBeSeen(call, seen));
  const isLocal = history.every(({ input }) => keysOf(input).size === 1);
  const judgeAll = isLocal ? judgeByKey : judgeWhole;
  const judgement = judgeAll(likely, budget);
  const isFinal = judgement.verdict === 'linearizable' || likely.length === history.length;
  return isFinal ? judgement : judgeAll(history, budget);
}

function valuesRead(history: readonly StoreCall[]): Set<string | undefined> {
  return new Set(history.flatMap(({ output }) => output?.steps.map(({ value }) => value) ?? []));
}

function mayBeSeen({ input }: StoreCall, seen: ReadonlySet<string | undefined>): boolean {
  const steps = [...input.success, ...input.failure];
  return steps.some((step) => step.kind === 'delete' || (step.kind === 'put' && seen.has(step.value)));
}

function judgeWhole(history: readonly StoreCall[], budget?: number): StoreJudgement {
  return judge(new StoreModel(true, claimedRevisions(history)), history, budget);
}

function judgeByKey(history: readonly StoreCall[], budget?: number): StoreJudgement {
  const parts = new Map<string, StoreCall[]>();
  for (const call of history) {
    for (const key of keysOf(call.input)) {
      const part = parts.get(key);
      if (part === undefined) parts.set(key, [call]);
      else part.push(call);
    }
  }
  const claimed = claimedRevisions(history);
  const judgements = [...parts.values()].map((part) => {
    const judgement = judge(new StoreModel(false, claimed), part, budget);
    // An order that follows the revisions is an order; having them to go by makes it easier to find.
    return judgement.verdict === 'undecided' ? judge(new StoreModel(true, claimed), part, budget) : judgement;
  });
  const worst =
    judgements.find(({ verdict }) => verdict === 'violated') ??
    judgements.find(({ verdict }) => verdict === 'undecided');
  const ordered = judgements.reduce((sum, part) => sum + part.ordered, 0);
  const steps = judgements.reduce((sum, part) => sum + part.steps, 0);
  return { verdict: worst?.verdict ?? 'linearizable', ordered, steps, stuck: worst?.stuck ?? [] };
}

export function keysOf({ compares, success, failure }: StoreInput): Set<string> {
  return new Set([...compares, ...success, ...failure].map(({ key }) => key));
}

/** The revisions that calls made whose answers are known. */
export function claimedRevisions(history: readonly StoreCall[]): Set<number> {
  const claimed = new Set<number>();
  for (const { input, output } of history) {
    if (output === undefined) continue;
    const steps = output.succeeded ? input.success : input.failure;
    if (hasChanged(steps, output.steps)) claimed.add(output.revision);
  }
  return claimed;
}
