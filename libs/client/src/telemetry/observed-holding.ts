import { type Acquired } from '../concurrency/acquisition.js';
import { type Held } from '../concurrency/held.js';
import { type Clock } from '../runtime.js';
import { type Telemetry } from './telemetry.js';
import { type SpanAttributes } from './telemetry-options.js';

/** What is acquired, in the words of the spans. */
export interface Acquiring {
  readonly span: 'conclave.lock.acquire' | 'conclave.campaign';
  readonly name: string;
  readonly clock: Clock;
  /** How many stand in the queue; asked beside the acquiring, which does not wait for it. */
  readonly queueLength: () => Promise<number>;
}

/** Runs an attempt to acquire in a span. Null: it was not free. */
export function tracedAcquiring<T extends Acquired | null>(
  telemetry: Telemetry | undefined,
  { span: spanName, name, clock, queueLength }: Acquiring,
  acquire: () => Promise<T>,
): Promise<T> {
  const tracing = telemetry?.tracing;
  if (tracing === undefined) return acquire();
  const kind = spanName === 'conclave.campaign' ? 'election' : 'lock';
  return tracing.within(spanName, { [`conclave.${kind}.name`]: name }, async (span) => {
    const begin = clock.monotonic();
    queueLength().then(
      (length) => span.set(`conclave.${kind}.queue_length`, length),
      () => undefined,
    );
    try {
      const acquired = await acquire();
      span.set(`conclave.${kind}.acquired`, acquired !== null);
      if (acquired !== null) span.set(`conclave.${kind}.token`, String(acquired.claim.token));
      return acquired;
    } finally {
      span.set(`conclave.${kind}.wait_ms`, clock.monotonic() - begin);
    }
  });
}

/** What is held, in the words of spans and metrics. */
export interface Holding {
  readonly kind: 'lock' | 'leadership';
  readonly name: string;
}

/** Counts and logs the loss of what is held. `span`: with a span from now until it ends. */
export function observeHeld(
  telemetry: Telemetry | undefined,
  held: Held,
  { kind, name }: Holding,
  span: boolean,
): void {
  if (telemetry === undefined) return;
  const { tracing, meter, logger } = telemetry;
  const open = span ? tracing?.begin('conclave.lock.hold', holdAttributes(held, name)) : undefined;
  let isLost = false;
  held.validity$.subscribe({
    next: (validity) => {
      if (validity.kind !== 'lost') return;
      isLost = true;
      const { reason } = validity;
      // Closing the client gives everything back: that is no loss.
      if (reason === 'closed') return;
      meter?.count('conclave_client_losses_total', { kind, reason });
      logger?.warn(`the ${kind} '${name}' is lost: ${reason}`, {
        kind,
        name,
        reason,
        token: String(held.token),
      });
    },
    // The signal has the error of the loss a moment after it was told.
    complete: () => queueMicrotask(() => open?.end(isLost ? held.signal.reason : undefined)),
  });
}

/** Runs the work under a lock in a span. */
export function tracedHolding<T>(
  telemetry: Telemetry | undefined,
  held: Held,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  const tracing = telemetry?.tracing;
  return tracing === undefined
    ? work()
    : tracing.within('conclave.lock.hold', holdAttributes(held, name), work);
}

function holdAttributes(held: Held, name: string): SpanAttributes {
  return { 'conclave.lock.name': name, 'conclave.lock.token': String(held.token) };
}
