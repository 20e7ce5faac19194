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
  const parts = new Map<string, StoreCall[]>();
  let isLocal = true;
  for (const call of history) {
    const keys = keysOf(call.input);
    isLocal &&= keys.size === 1;
    for (const key of keys) {
      const part = parts.get(key);
      if (part === undefined) parts.set(key, [call]);
      else part.push(call);
    }
  }
  const claimed = claimedRevisions(history);
  if (!isLocal) return judge(new StoreModel(true, claimed), history, budget);
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
