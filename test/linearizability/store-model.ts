import { type SequentialModel } from './history.js';

/** A step of a transaction. */
export type StoreStep =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

/** "The key was last changed in revision `mod`"; 0: it does not exist. */
export interface StoreCompare {
  readonly key: string;
  readonly mod: number;
}

/** Every call is a transaction; a plain get, put or delete is one without compares. */
export interface StoreInput {
  readonly compares: readonly StoreCompare[];
  readonly success: readonly StoreStep[];
  readonly failure: readonly StoreStep[];
}

/** What a step answered: for a get the value (undefined: no such key) and its revision, for a delete how many it deleted. */
export interface StepOutput {
  readonly value?: string | undefined;
  readonly mod?: number;
  readonly deleted?: number;
}

export interface StoreOutput {
  /** Of the header. */
  readonly revision: number;
  readonly succeeded: boolean;
  readonly steps: readonly StepOutput[];
}

interface Row {
  readonly value: string;
  /** Undefined when a lost call wrote it and nobody has read it yet. */
  readonly mod: number | undefined;
}

export interface StoreState {
  /** The newest revision that an answer has told so far. */
  readonly revision: number;
  readonly rows: ReadonlyMap<string, Row>;
}

/** Whether a call with these answers made a revision. */
export function hasChanged(steps: readonly StoreStep[], outputs: readonly StepOutput[]): boolean {
  return steps.some(({ kind }, at) => kind === 'put' || outputs[at]?.deleted === 1);
}

/**
 * The store as its clients know it. Written from etcd's documents, without a line of the server's.
 *
 * With `ordersByRevision` answers must come in the order of their revisions, one change per revision, which leaves
 * nothing to search for but the place of lost calls. Without it revisions only name versions, and real time alone orders.
 */
export class StoreModel implements SequentialModel<StoreState, StoreInput, StoreOutput> {
  readonly initial: StoreState = { revision: 0, rows: new Map() };
  private readonly names = new WeakMap<StoreState, string>();

  /** @param claimed Revisions that belong to calls with an answer: a lost call made none of them. */
  constructor(
    private readonly ordersByRevision: boolean,
    private readonly claimed: ReadonlySet<number>,
  ) {}

  isRead(input: StoreInput): boolean {
    return [...input.success, ...input.failure].every(({ kind }) => kind === 'get');
  }

  /** A write comes before the reads of its revision. */
  rankOf({ success, failure }: StoreInput, { revision, succeeded, steps }: StoreOutput): number {
    if (!this.ordersByRevision) return 0;
    return 2 * revision + (hasChanged(succeeded ? success : failure, steps) ? 0 : 1);
  }

  nameOf(state: StoreState): string {
    let name = this.names.get(state);
    if (name === undefined) {
      const rows = [...state.rows].map(([key, { value, mod }]) => `${key}=${value}@${mod ?? '?'}`);
      name = `${this.ordersByRevision ? state.revision : ''}|${rows.sort().join()}`;
      this.names.set(state, name);
    }
    return name;
  }

  step(state: StoreState, input: StoreInput, output: StoreOutput | undefined): readonly StoreState[] {
    const next: StoreState[] = [];
    for (const { holds, rows } of this.compare(state.rows, input.compares)) {
      if (output !== undefined && output.succeeded !== holds) continue;
      const after = this.run(state.revision, rows, holds ? input.success : input.failure, output);
      if (after !== undefined) next.push(after);
    }
    return next;
  }

  private run(
    before: number,
    rows: ReadonlyMap<string, Row>,
    steps: readonly StoreStep[],
    output: StoreOutput | undefined,
  ): StoreState | undefined {
    const after = new Map(rows);
    for (let at = 0; at < steps.length; at++) {
      if (!this.perform(after, steps[at], output?.revision, output?.steps[at])) return undefined;
    }
    if (output === undefined || !this.ordersByRevision) return { revision: before, rows: after };
    const { revision } = output;
    const isInOrder = hasChanged(steps, output.steps) ? revision > before : revision >= before;
    return isInOrder ? { revision, rows: after } : undefined;
  }

  /** Does one step on `rows`; false when it cannot have answered so. */
  private perform(
    rows: Map<string, Row>,
    step: StoreStep,
    revision: number | undefined,
    output: StepOutput | undefined,
  ): boolean {
    const row = rows.get(step.key);
    switch (step.kind) {
      case 'put':
        rows.set(step.key, { value: step.value, mod: revision });
        return true;
      case 'delete':
        rows.delete(step.key);
        return output === undefined || output.deleted === (row === undefined ? 0 : 1);
      case 'get': {
        if (output === undefined) return true;
        if (output.value !== row?.value) return false;
        if (row === undefined) return true;
        if (row.mod !== undefined) return row.mod === output.mod;
        if (output.mod === undefined || this.claimed.has(output.mod)) return false;
        rows.set(step.key, { value: row.value, mod: output.mod });
        return true;
      }
    }
  }

  /** Both ways that compares can go, where the revision of a row is not known; what follows from each is kept. */
  private compare(
    rows: ReadonlyMap<string, Row>,
    compares: readonly StoreCompare[],
  ): { readonly holds: boolean; readonly rows: ReadonlyMap<string, Row> }[] {
    let mayHold: Map<string, Row> | undefined = new Map(rows);
    let mayFail = false;
    for (const { key, mod } of compares) {
      const row = mayHold?.get(key) ?? rows.get(key);
      if (row !== undefined && row.mod === undefined && mod !== 0 && !this.claimed.has(mod)) {
        mayFail = true;
        mayHold?.set(key, { value: row.value, mod });
      } else if ((row?.mod ?? (row === undefined ? 0 : undefined)) !== mod) {
        mayHold = undefined;
        mayFail = true;
      }
    }
    const ways: { holds: boolean; rows: ReadonlyMap<string, Row> }[] = [];
    if (mayHold !== undefined) ways.push({ holds: true, rows: mayHold });
    if (mayFail) ways.push({ holds: false, rows });
    return ways;
  }
}
