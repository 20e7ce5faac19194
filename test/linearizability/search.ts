import { type Call, type SequentialModel } from './history.js';

/** `undecided`: the budget was used up before an order was found or excluded. */
export interface Judgement<Input, Output> {
  readonly verdict: 'linearizable' | 'violated' | 'undecided';
  /** Calls that could be put in order, at most; at a violation the rest cannot follow. */
  readonly ordered: number;
  /** At a violation: the calls one of which had to come next where the search came furthest. */
  readonly stuck: readonly Call<Input, Output>[];
  readonly steps: number;
}

/** A choice that was made: a call takes effect here. */
interface Choice<State> {
  readonly call: number;
  readonly state: State;
}

/** One point of the search: the state there, and the choices that were not tried yet (last first). */
interface Frame<State> {
  readonly state: State;
  /** The call that led here; -1 at the start. */
  readonly taken: number;
  readonly untried: Choice<State>[];
}

const defaultBudget = 100_000;

/**
 * Looks for an order of the calls that the model allows and that keeps every call behind those that had returned before
 * it began: linearizability (Herlihy and Wing 1990), by the search of Wing and Gong (1993) with Lowe's memory of the
 * configurations that lead nowhere (2017). Trusts nothing but what clients saw.
 *
 * A lost call is tried only directly before a call that it makes a difference to: otherwise leaving it out, or taking it
 * later, does as well. A configuration is named by the first call that is still open, the few taken ones behind it, the lost ones that were
 * taken and the state, so that names stay short however long the history is.
 *
 * @param budget Steps of the model after which the search gives up.
 */
export function judge<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Call<Input, Output>[],
  budget = defaultBudget,
): Judgement<Input, Output> {
  return new Search(model, history, budget).run();
}

class Search<State, Input, Output> {
  /** Calls with an output by the time of their call, then the lost ones. */
  private readonly calls: readonly Call<Input, Output>[];
  private readonly known: number;
  /** Of the calls with an output, and these by rank. */
  private readonly ranks: readonly number[];
  private readonly byRank: readonly number[];
  private readonly places: Int32Array;
  private readonly isTaken: Uint8Array;
  private readonly visited = new Set<string>();
  /** No call with an output before it is open. */
  private first = 0;
  /** Place in `byRank`: no call before it is open. */
  private lowest = 0;
  private takenKnown = 0;
  private steps = 0;
  private ordered = 0;
  private stuck: readonly Call<Input, Output>[] = [];

  constructor(
    private readonly model: SequentialModel<State, Input, Output>,
    history: readonly Call<Input, Output>[],
    private readonly budget: number,
  ) {
    const byCall = [...history].sort((a, b) => a.calledAt - b.calledAt);
    const known = byCall.filter(({ output }) => output !== undefined);
    const lost = byCall.filter(({ output, input }) => output === undefined && !model.isRead(input));
    this.calls = [...known, ...lost];
    this.known = known.length;
    this.ranks = known.map(({ input, output }) => model.rankOf(input, output!));
    this.byRank = known.map((_, at) => at).sort((a, b) => this.ranks[a] - this.ranks[b]);
    this.places = new Int32Array(known.length);
    this.byRank.forEach((call, place) => (this.places[call] = place));
    this.isTaken = new Uint8Array(this.calls.length);
  }

  run(): Judgement<Input, Output> {
    const frames: Frame<State>[] = [this.frame(this.model.initial, -1, this.model.initial)];
    while (this.takenKnown < this.known) {
      if (this.steps > this.budget) return this.judgement('undecided');
      const last = frames.at(-1)!;
      const choice = last.untried.pop();
      if (choice !== undefined) {
        this.take(choice.call);
        if (this.isNew(choice.state)) frames.push(this.frame(choice.state, choice.call, last.state));
        else this.release(choice.call);
        continue;
      }
      const { taken } = frames.pop()!;
      if (frames.length === 0) return this.judgement('violated');
      this.release(taken);
    }
    return this.judgement('linearizable');
  }

  private judgement(verdict: Judgement<Input, Output>['verdict']): Judgement<Input, Output> {
    const { steps } = this;
    if (verdict === 'linearizable') return { verdict, ordered: this.known, stuck: [], steps };
    return { verdict, ordered: this.ordered, stuck: this.stuck, steps };
  }

  private take(call: number): void {
    this.isTaken[call] = 1;
    if (call >= this.known) return;
    this.takenKnown++;
    while (this.first < this.known && this.isTaken[this.first] === 1) this.first++;
    while (this.lowest < this.known && this.isTaken[this.byRank[this.lowest]] === 1) this.lowest++;
  }

  private release(call: number): void {
    this.isTaken[call] = 0;
    if (call >= this.known) return;
    this.takenKnown--;
    this.first = Math.min(this.first, call);
    this.lowest = Math.min(this.lowest, this.places[call]);
  }

  private isNew(state: State): boolean {
    let name = `${this.first};`;
    let left = this.takenKnown - this.first;
    for (let at = this.first; left > 0; at++) {
      if (this.isTaken[at] === 0) continue;
      name += `${at},`;
      left--;
    }
    name += ';';
    for (let at = this.known; at < this.calls.length; at++) if (this.isTaken[at] === 1) name += `${at},`;
    name += `;${this.model.nameOf(state)}`;
    if (this.visited.has(name)) return false;
    this.visited.add(name);
    return true;
  }

  /** What may come next: an open call that began before any open one returned. Lost ones are tried last. */
  private frame(state: State, taken: number, before: State): Frame<State> {
    const open: number[] = [];
    let until = Number.POSITIVE_INFINITY;
    for (let at = this.first; at < this.known && this.calls[at].calledAt <= until; at++) {
      if (this.isTaken[at] === 1) continue;
      open.push(at);
      until = Math.min(until, this.calls[at].returnedAt);
    }
    const rank = this.ranks[this.byRank[this.lowest]];
    const candidates = open.filter((at) => this.calls[at].calledAt <= until && this.ranks[at] <= rank);
    if (this.takenKnown >= this.ordered) {
      this.ordered = this.takenKnown;
      this.stuck = candidates.map((at) => this.calls[at]);
    }
    for (let at = this.known; at < this.calls.length; at++) {
      if (this.isTaken[at] === 0 && this.calls[at].calledAt <= until) candidates.push(at);
    }
    const choices = this.choices(state, candidates);
    const useful =
      taken < this.known ? choices : choices.filter((choice) => this.needs(choice, taken, before));
    return { state, taken, untried: useful.reverse() };
  }

  /**
   * Whether `choice` would not come out the same without the lost call that was taken directly before it, in the state
   * `before`, nor with that one behind it.
   */
  private needs(choice: Choice<State>, lost: number, before: State): boolean {
    const { model } = this;
    const { input, output } = this.calls[choice.call];
    const name = model.nameOf(choice.state);
    this.steps++;
    for (const without of model.step(before, input, output)) {
      if (model.nameOf(without) === name) return false;
      // Two lost calls that may change places are tried in one order only.
      if (choice.call > lost) continue;
      const behind = model.step(without, this.calls[lost].input, undefined);
      if (behind.some((state) => model.nameOf(state) === name)) return false;
    }
    return true;
  }

  private choices(state: State, candidates: readonly number[]): Choice<State>[] {
    const choices: Choice<State>[] = [];
    for (const call of candidates) {
      const { input, output } = this.calls[call];
      this.steps++;
      for (const next of this.model.step(state, input, output)) choices.push({ call, state: next });
    }
    return choices;
  }
}
