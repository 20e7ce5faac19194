import { GrpcStatus } from '@conclave/protocol';
import { cancellationOf } from '../cancellation.js';
import { type PausableStream, TransportError, type TransportObserver } from '../transport.js';

/**
 * The messages of a stream, pulled: at most one of them waits here, and the rest at the server as soon as the window of
 * the connection is full. Leaving the loop cancels the stream.
 *
 * @throws TransportError when the stream failed; CancelledError when the signal aborted.
 */
export async function* pulled<S>(
  open: (observer: TransportObserver) => PausableStream,
  decode: (bytes: Uint8Array) => S,
  signal: AbortSignal | undefined,
): AsyncGenerator<S, void> {
  const arrived: S[] = [];
  let end: { readonly error: TransportError | undefined } | undefined;
  let wake = (): void => undefined;
  const stream = open({
    message: (bytes) => {
      try {
        arrived.push(decode(bytes));
      } catch (cause) {
        end = { error: new TransportError(GrpcStatus.Internal, 'undecodable message', true, { cause }) };
      }
      stream.pause();
      wake();
    },
    end: (error) => {
      end ??= { error };
      wake();
    },
  });
  const onAbort = (): void => wake();
  signal?.addEventListener('abort', onAbort);
  try {
    for (;;) {
      if (signal?.aborted === true) throw cancellationOf(signal);
      const next = arrived.shift();
      if (next !== undefined) {
        yield next;
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error;
        return;
      } else {
        const news = new Promise<void>((resolve) => (wake = resolve));
        stream.resume();
        await news;
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}
