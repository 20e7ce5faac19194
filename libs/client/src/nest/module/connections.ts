import { type ConclaveClient } from '../../client.js';
import { InvalidArgumentError } from '../../errors.js';
import { ConfigRefs } from '../config/config-refs.js';
import { LiveValues } from '../config-service/live-values.js';
import { Lifecycle } from './lifecycle.js';
import { type ConclaveModuleOptions } from './options.js';
import { defaultConnection } from './tokens.js';

export interface NamedConnection {
  readonly name: string;
  readonly client: ConclaveClient;
  readonly options: ConclaveModuleOptions;
}

/** An election or a lock that `forFeature` names. */
export interface NamedFeature {
  readonly kind: 'election' | 'lock';
  readonly feature: string;
  /** The name of the connection. */
  readonly name: string;
}

/** The connections of one Nest application, by name, and what hangs on the application as a whole. */
export class Connections {
  private readonly byName = new Map<string, NamedConnection>();
  private readonly named: NamedFeature[] = [];
  readonly configs = new ConfigRefs();
  /** What ConfigService reads of the store. */
  readonly values = new LiveValues();
  readonly lifecycle = new Lifecycle();

  /** @throws InvalidArgumentError when there is none of that name. */
  client(name: string = defaultConnection): ConclaveClient {
    return this.get(name).client;
  }

  /** @throws InvalidArgumentError when there is none of that name. */
  options(name: string = defaultConnection): ConclaveModuleOptions {
    return this.get(name).options;
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** @throws InvalidArgumentError when there is one of that name. */
  add(name: string, client: ConclaveClient, options: ConclaveModuleOptions): void {
    if (this.byName.has(name)) {
      throw new InvalidArgumentError(
        `there are two connections '${name}': give one of the ConclaveModule.forRoot(…) another name`,
      );
    }
    this.byName.set(name, { name, client, options });
  }

  all(): readonly NamedConnection[] {
    return [...this.byName.values()];
  }

  addFeature(feature: NamedFeature): void {
    const isKnown = this.features(feature.kind).some(
      (one) => one.feature === feature.feature && one.name === feature.name,
    );
    if (!isKnown) this.named.push(feature);
  }

  /** What `forFeature` names; complete when onModuleInit is called. */
  features(kind: NamedFeature['kind']): readonly NamedFeature[] {
    return this.named.filter((one) => one.kind === kind);
  }

  /** After a start that failed: Nest calls no hook then. */
  async abandon(): Promise<void> {
    if (this.lifecycle.isRunning) return;
    await Promise.allSettled(this.all().map(({ client }) => client.close({ drain: 0 })));
  }

  private get(name: string): NamedConnection {
    const found = this.byName.get(name);
    if (found !== undefined) return found;
    const known = [...this.byName.keys()].map((other) => `'${other}'`).join(', ') || 'none';
    throw new InvalidArgumentError(
      `there is no connection '${name}' (there are: ${known}); import ConclaveModule.forRoot({ name: '${name}', … }) in the root module`,
    );
  }
}

/** Shared by all copies of the SDK in one process. */
interface Applications {
  readonly instances: WeakMap<object, Connections>;
  readonly running: Set<Connections>;
}

function applications(): Applications {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  const instances = Symbol.for('@conclave/client/nest/instances');
  const running = Symbol.for('@conclave/client/nest/applications');
  return {
    instances: (holder[instances] ??= new WeakMap()) as Applications['instances'],
    running: (holder[running] ??= new Set()) as Applications['running'],
  };
}

/** Says which application an instance belongs to. */
export function bindInstance(instance: object, connections: Connections): void {
  applications().instances.set(instance, connections);
}

/** An application has begun to run, or has ended. */
export function setRunning(connections: Connections, isRunning: boolean): void {
  const { running } = applications();
  if (isRunning) running.add(connections);
  else running.delete(connections);
}

/**
 * The connections of the application that an instance belongs to. An instance that Nest did not make, or made for one request, belongs
 * to the application that runs, when there is exactly one.
 *
 * @throws InvalidArgumentError when that is not certain.
 */
export function connectionsOf(instance: object): Connections {
  const { instances, running } = applications();
  const known = instances.get(instance);
  if (known !== undefined) return known;
  const [only, ...others] = running;
  if (only !== undefined && others.length === 0) return only;
  const name = instance.constructor?.name || 'this object';
  throw new InvalidArgumentError(
    only === undefined
      ? `${name} belongs to no running application: import ConclaveModule.forRoot(…) and call it after the start`
      : `${name} was not made by Nest, and ${running.size} applications run: let Nest make it as a provider or controller`,
  );
}
