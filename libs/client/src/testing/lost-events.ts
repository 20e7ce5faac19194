import { type FakeStore } from './fake-store.js';

/** From now on the streams of the store keep events on these keys to themselves, as a server with a mistake would. */
export function loseEvents(store: FakeStore, keys: ReadonlySet<string>): void {
  const { watch } = store;
  store.watch = (observer) =>
    watch.call(store, {
      next: (response) => {
        const events = response.events.filter((event) => !keys.has(event.kv?.key.toString() ?? ''));
        if (events.length > 0 || response.events.length === 0) observer.next({ ...response, events });
      },
      error: (error) => observer.error(error),
    });
}
