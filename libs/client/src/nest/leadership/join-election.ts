import { registerFeature } from '../module/explorer.js';
import { addToMethod } from '../methods/wrapped-method.js';
import { applicationOf } from '../shutdown/application.js';

/** An election that a decorator names. */
export interface NamedElection {
  readonly election: string;
  readonly connection: string | undefined;
}

const key = Symbol.for('@conclave/client/nest/elections');

/** Makes the application take part in the election that a method is about. */
export function joinElection(named: NamedElection, method: object): void {
  addToMethod(key, named, method);
}

registerFeature<readonly NamedElection[]>({
  key,
  bind: ({ metadata, connections }) => {
    const { roles } = applicationOf(connections);
    for (const { election, connection } of metadata) roles.join(election, connection);
  },
});
