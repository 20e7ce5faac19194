import { type Codec } from './caller.js';

interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** Both codecs of one method, and how a call of it may be repeated. */
export function method<Q, S>(
  path: string,
  repeat: Codec<Q, S>['repeat'],
  request: MessageCodec<Q>,
  response: MessageCodec<S>,
): Codec<Q, S> {
  return {
    path,
    repeat,
    encode: (message) => request.encode(message).finish(),
    decode: (bytes) => response.decode(bytes),
  };
}
