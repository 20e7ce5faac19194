import { IncomingMessage } from 'node:http';
import { CancelledError } from '../../errors.js';

/** A wait that ends when whoever asked for it has gone. `forget` when it is over. */
export interface WaitOfRequest {
  readonly signal: AbortSignal | undefined;
  forget(): void;
}

/**
 * Of the request among the arguments of a call (`@Req()`): Node's own, as Express gives it, or the one that Fastify's has as `raw`. Its
 * signal aborts when the connection closes. Without a request there is none.
 */
export function waitOfRequest(args: readonly unknown[]): WaitOfRequest {
  const request = args.map(messageOf).find((message) => message !== undefined);
  if (request === undefined) return { signal: undefined, forget: () => undefined };
  const { socket } = request;
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new CancelledError('the connection of the request was closed'));
  if (socket.destroyed) onClose();
  else socket.once('close', onClose);
  return { signal: gone.signal, forget: () => socket.off('close', onClose) };
}

function messageOf(argument: unknown): IncomingMessage | undefined {
  if (argument instanceof IncomingMessage) return argument;
  if (typeof argument !== 'object' || argument === null || !('raw' in argument)) return undefined;
  return argument.raw instanceof IncomingMessage ? argument.raw : undefined;
}
