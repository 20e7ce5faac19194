import { type ConclaveClient } from '../../client.js';
import { InvalidArgumentError } from '../../errors.js';
import { Connections } from './connections.js';
import { getStartedToken } from './tokens.js';

/** A provider that is made of the client of a connection, wherever that stands. */
export function fromClient<T>(
  name: string,
  make: (client: ConclaveClient, connections: Connections) => T,
): {
  readonly inject: [{ token: symbol; optional: true }, typeof Connections];
  readonly useFactory: (client: ConclaveClient | undefined, connections: Connections) => T;
} {
  return {
    inject: [{ token: getStartedToken(name), optional: true }, Connections],
    useFactory: (client, connections) => {
      if (client === undefined) {
        throw new InvalidArgumentError(
          `ConclaveModule.forFeature uses the connection '${name}', which is nowhere: import ConclaveModule.forRoot({ name: '${name}', … }) in the root module`,
        );
      }
      return make(client, connections);
    },
  };
}
