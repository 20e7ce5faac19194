import { type Observable } from 'rxjs';
import { type Backlog, pulled } from './pulled.js';

/** The newest value, and no other. */
class Newest<T> implements Backlog<T, T> {
  private held: { readonly value: T } | undefined;

  push(value: T): void {
    this.held = { value };
  }

  take(): T | undefined {
    const { held } = this;
    this.held = undefined;
    return held?.value;
  }
}

/**
 * For consumers that are slower than the changes: `for await (const view of latest(state$))` gets the newest value each time it is
 * ready for one. Values in between are left out, the newest always arrives. `undefined` is no value.
 */
export function latest<T>(source$: Observable<T>): AsyncIterable<T> {
  return pulled(source$, () => new Newest<T>());
}
