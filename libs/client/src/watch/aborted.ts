import { Observable } from 'rxjs';

/** Emits once when the signal aborts, or at once when it has. */
export function aborted$(signal: AbortSignal): Observable<void> {
  return new Observable((subscriber) => {
    const onAbort = (): void => subscriber.next();
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    return () => signal.removeEventListener('abort', onAbort);
  });
}
