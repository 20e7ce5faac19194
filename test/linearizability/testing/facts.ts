import { type StoreCall } from '../store-checker.js';
import { hasChanged, type StepOutput, type StoreStep } from '../store-model.js';

/** A step that wrote a value, unique in its history. */
export interface Written {
  readonly call: StoreCall;
  readonly key: string;
  readonly value: string;
}

/** A step that read. */
export interface Read {
  readonly call: StoreCall;
  readonly at: number;
  readonly key: string;
  readonly value: string | undefined;
  readonly mod: number | undefined;
}

interface Deleted {
  readonly call: StoreCall;
  readonly key: string;
}

export function taken({ input, output }: StoreCall): readonly StoreStep[] {
  return output?.succeeded === false ? input.failure : input.success;
}

/** Whether an answered call made a revision. */
export function changes(call: StoreCall): boolean {
  return hasChanged(taken(call), call.output!.steps);
}

export function withSteps(call: StoreCall, steps: readonly StepOutput[]): StoreCall {
  return { ...call, output: { ...call.output!, steps } };
}

/** What a history says, sorted by kind, for those who want to contradict it. */
export class Facts {
  readonly answered: readonly StoreCall[];
  readonly reads: Read[] = [];
  /** Of answered calls. */
  readonly writes: Written[] = [];
  readonly lostWrites: Written[] = [];
  /** Answered deletes by themselves that deleted something. */
  readonly deletes: Deleted[] = [];
  /** Exchanges of a version that succeeded, and those that failed, with what they would have written. */
  readonly exchanges: Written[] = [];
  readonly failedExchanges: Written[] = [];

  constructor(readonly history: readonly StoreCall[]) {
    this.answered = history.filter(({ output }) => output !== undefined);
    for (const call of history) this.collect(call);
  }

  /** The history with `by` in the place of `call`, or without it. */
  replace(call: StoreCall, by?: StoreCall): StoreCall[] {
    return this.history.flatMap((each) => (each === call ? (by ?? []) : each));
  }

  /** Whether any delete of the key may have come after `write` took effect and before `until` did. */
  mayBeDeleted(key: string, write: StoreCall, until: StoreCall): boolean {
    return this.history.some(
      (call) =>
        call !== until &&
        [...call.input.success, ...call.input.failure].some(
          (step) => step.kind === 'delete' && step.key === key,
        ) &&
        call.returnedAt >= write.calledAt &&
        call.calledAt <= until.returnedAt,
    );
  }

  private collect(call: StoreCall): void {
    const { input, output } = call;
    const isExchange =
      input.compares.length === 1 && input.success.length === 1 && input.failure.length === 1;
    const [first] = input.success;
    if (isExchange && first.kind === 'put' && output !== undefined) {
      (output.succeeded ? this.exchanges : this.failedExchanges).push({ call, ...first });
    }
    taken(call).forEach((step, at) => {
      if (step.kind === 'put') (output === undefined ? this.lostWrites : this.writes).push({ call, ...step });
      if (step.kind === 'delete' && output?.steps[at].deleted === 1)
        this.deletes.push({ call, key: step.key });
      if (step.kind !== 'get' || output === undefined) return;
      const { value, mod } = output.steps[at];
      this.reads.push({ call, at, key: step.key, value, mod });
    });
  }
}
