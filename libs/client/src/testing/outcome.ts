/** What became of a promise so far; looking at it never throws. */
export interface Outcome<T> {
  settled: boolean;
  value?: T;
  error?: Error & { readonly code?: string };
}

/** Observes a promise, so that a test can look at it between two steps of the virtual clock. */
export function outcomeOf<T>(promise: Promise<T>): Outcome<T> {
  const seen: Outcome<T> = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (error: Error) => Object.assign(seen, { error, settled: true }),
  );
  return seen;
}
