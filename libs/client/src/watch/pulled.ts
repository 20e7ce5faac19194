import { type Observable, type Subscription } from 'rxjs';

/** What waits for a consumer that pulls; it bounds itself. */
export interface Backlog<T, U> {
  push(value: T): void;
  /** The next item, removed; undefined when there is none. */
  take(): U | undefined;
}

/**
 * An observable as something to pull from. Each iterator is a subscription of its own, which begins with the first pull and ends
 * when the loop is left. An error or the end comes after all that was before it.
 */
export function pulled<T, U>(source$: Observable<T>, newBacklog: () => Backlog<T, U>): AsyncIterable<U> {
  return { [Symbol.asyncIterator]: () => new Puller(source$, newBacklog()) };
}

type Ending = { readonly kind: 'completed' } | { readonly kind: 'failed'; readonly error: unknown };

interface Pull<U> {
  readonly resolve: (result: IteratorResult<U, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** Invariants: pulls wait only while the backlog is empty; after the end each pull is answered at once; a failure is told once. */
class Puller<T, U> implements AsyncIterator<U, undefined, unknown> {
  private subscription: Subscription | undefined;
  private readonly waiting: Pull<U>[] = [];
  private ending: Ending | undefined;

  constructor(
    private readonly source$: Observable<T>,
    private readonly backlog: Backlog<T, U>,
  ) {}

  next(): Promise<IteratorResult<U, undefined>> {
    this.subscription ??= this.subscribe();
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.serve();
    });
  }

  return(): Promise<IteratorResult<U, undefined>> {
    this.end({ kind: 'completed' });
    // What waits is not wanted any more.
    while (this.backlog.take() !== undefined);
    this.serve();
    return Promise.resolve({ done: true, value: undefined });
  }

  private subscribe(): Subscription {
    return this.source$.subscribe({
      next: (value) => {
        this.backlog.push(value);
        this.serve();
      },
      error: (error: unknown) => this.end({ kind: 'failed', error }),
      complete: () => this.end({ kind: 'completed' }),
    });
  }

  private end(ending: Ending): void {
    this.ending ??= ending;
    this.subscription?.unsubscribe();
    this.serve();
  }

  private serve(): void {
    while (this.waiting.length > 0) {
      const value = this.backlog.take();
      const { ending } = this;
      if (value === undefined && ending === undefined) return;
      const pull = this.waiting.shift();
      if (value !== undefined) {
        pull?.resolve({ done: false, value });
      } else if (ending?.kind === 'failed') {
        this.ending = { kind: 'completed' };
        pull?.reject(ending.error);
      } else {
        pull?.resolve({ done: true, value: undefined });
      }
    }
  }
}
