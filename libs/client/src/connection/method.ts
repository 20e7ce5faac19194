import { type Codec } from './caller.js';

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}

/** Both codecs of one method, and how a call of it may be repeated. */
export function method<Q, S>(
  path: string,
  repeat: Codec<Q, S>['repeat'],
  request: Encoder<Q>,
  response: Decoder<S>,
): Codec<Q, S> {
  return {
    path,
    repeat,
    encode: (message) => request.encode(message).finish(),
    decode: (bytes) => response.decode(bytes),
  };
}
