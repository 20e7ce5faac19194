import { type Observable, type Subscription } from 'rxjs';
import { type ConclaveError, ConfigUnavailableError } from '../errors.js';
import { asConclaveError } from '../error-mapping.js';
import { type Clock } from '../runtime.js';
import { type StateView } from '../watch/state.js';
import { type ConfigFreshness, type DocumentView } from './document-view.js';
import { plainDocument } from './plain-keys.js';

/** The plain keys of one prefix for the config classes that read them. */
export class PlainClassSource {
  private newest: DocumentView | undefined;
  private error: ConclaveError | undefined;
  private readonly subscription: Subscription;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly prefix: string,
    states$: Observable<StateView<Uint8Array>>,
    private readonly clock: Clock,
    changed: (view: DocumentView) => void,
  ) {
    this.subscription = states$.subscribe({
      next: (state) => {
        this.newest = plainDocument(prefix, state);
        this.wake();
        changed(this.newest);
      },
      error: (error: unknown) => {
        this.error = asConclaveError(error);
        this.wake();
      },
    });
  }

  get freshness(): ConfigFreshness {
    if (this.newest !== undefined && this.error === undefined) return this.newest.freshness;
    const error =
      this.error ?? new ConfigUnavailableError(`the keys under '${this.prefix}' have not been read yet`);
    return { kind: 'stale', since: this.clock.wall(), error };
  }

  /** The keys as they are, or undefined when they could not be read in time. */
  async first(withinMs: number): Promise<DocumentView | undefined> {
    if (this.newest !== undefined || this.error !== undefined) return this.newest;
    await new Promise<void>((resolve) => {
      const timer = this.clock.setTimer(withinMs, resolve);
      this.waiting.add(() => {
        timer.cancel();
        resolve();
      });
    });
    return this.newest;
  }

  close(): void {
    this.subscription.unsubscribe();
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
