import { type ConfigValue, sameValue } from '@conclave/config-model';
import { defer, distinctUntilChanged, map, type Observable, startWith, Subject } from 'rxjs';
import { type Revision } from '../kv/entry.js';
import { type BatchCause } from '../watch/revision-batch.js';
import { evaluateClass, frozenValue, type ValueSurroundings } from './class-values.js';
import { type ConfigClassDefinition } from './config-class.js';
import { type ConfigFreshness, type DocumentView } from './document-view.js';

export interface ConfigChange<C> {
  readonly previous: Readonly<C>;
  readonly current: Readonly<C>;
  readonly changedKeys: readonly (keyof C)[];
  readonly revision: Revision;
  readonly cause: BatchCause;
}

/** The newest valid value of a config class. */
export interface ConfigRef<C> {
  /** Frozen, of one revision: keep it in a variable and it does not change across an `await`. */
  readonly value: Readonly<C>;
  readonly revision: Revision;
  readonly freshness: ConfigFreshness;
  /** Hot; each change, and not the value that is there already. All refs have the values of a release before any of them tells it. */
  readonly changes$: Observable<ConfigChange<C>>;
  /** A part of it: replays the current one, then every different one. Default: the same when it says the same. */
  select<U>(pick: (current: Readonly<C>) => U, equals?: (a: U, b: U) => boolean): Observable<U>;
}

/** Where a ref reads: a namespace of the center, or plain keys. */
export interface RefSource {
  freshness(): ConfigFreshness;
  /** Tells whether the newest view was accepted. */
  judge(refusal: string | undefined): void;
}

/** One config class in use. Invariant: `value` was accepted as a whole, and comes from one view. */
export class LiveConfigRef<C extends object> implements ConfigRef<C> {
  private readonly changes = new Subject<ConfigChange<C>>();
  readonly changes$ = this.changes.asObservable();
  private current: Readonly<C>;

  constructor(
    private readonly definition: ConfigClassDefinition<C>,
    private readonly surroundings: ValueSurroundings,
    private readonly source: RefSource,
    value: C,
    private at: Revision,
  ) {
    this.current = frozenValue(value);
  }

  get value(): Readonly<C> {
    return this.current;
  }

  get revision(): Revision {
    return this.at;
  }

  get freshness(): ConfigFreshness {
    return this.source.freshness();
  }

  select<U>(pick: (current: Readonly<C>) => U, equals: (a: U, b: U) => boolean = saysTheSame): Observable<U> {
    // The current value is that of the moment of the subscription.
    return defer(() =>
      this.changes.pipe(
        map((change) => change.current),
        startWith(this.current),
        map(pick),
        distinctUntilChanged(equals),
      ),
    );
  }

  /**
   * Takes the value of a view, when it is valid. Gives what tells the change, to be called when every other ref has its value too;
   * undefined when nothing changed.
   */
  adopt(view: DocumentView, cause: BatchCause): (() => void) | undefined {
    const result = evaluateClass(this.definition, view, this.surroundings);
    if ('violations' in result) {
      this.source.judge(result.violations.join('; '));
      return undefined;
    }
    this.source.judge(undefined);
    const previous = this.current;
    const current = frozenValue(result.value);
    const changedKeys = keysThatDiffer(previous, current);
    this.at = view.revision;
    if (changedKeys.length === 0) return undefined;
    this.current = current;
    const change: ConfigChange<C> = { previous, current, changedKeys, revision: view.revision, cause };
    return () => this.changes.next(change);
  }

  close(): void {
    this.changes.complete();
  }
}

/** The keys whose values do not say the same. */
export function keysThatDiffer<C extends object>(a: Readonly<C>, b: Readonly<C>): (keyof C)[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<string & keyof C>;
  return [...keys].filter((key) => !saysTheSame(a[key], b[key]));
}

/** By content for plain values; other objects are compared as what they are. */
function saysTheSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  return sameValue(a as ConfigValue, b as ConfigValue);
}
