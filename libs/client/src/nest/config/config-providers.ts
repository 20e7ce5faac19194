import { type FactoryProvider } from '@nestjs/common';
import { type ConclaveClient } from '../../client.js';
import { type ConfigClassRef, definitionOf } from '../../config/config-class.js';
import { type ConfigRef } from '../../config/config-ref.js';
import { type Connections } from '../module/connections.js';
import { fromClient } from '../module/from-client.js';
import { getConfigProxyToken, getConfigToken } from '../module/tokens.js';
import { configProxy } from './config-proxy.js';

type LoadedRefs = ReadonlyMap<ConfigClassRef<object>, ConfigRef<object>>;

/** The refs of config classes, and the objects that always read the newest value, as providers. */
export function configProviders(
  configClasses: readonly ConfigClassRef<object>[],
  name: string,
): (FactoryProvider & { readonly provide: symbol })[] {
  if (configClasses.length === 0) return [];
  const loaded = Symbol(`config classes of ${configClasses.map((one) => one.name).join(', ')}`);
  const refOf = (refs: LoadedRefs, configClass: ConfigClassRef<object>): ConfigRef<object> => {
    const ref = refs.get(configClass);
    if (ref === undefined) throw new Error(`${configClass.name} was not loaded`);
    return ref;
  };
  return [
    {
      provide: loaded,
      ...fromClient(name, (client, connections) => loadRefs(configClasses, name, client, connections)),
    },
    ...configClasses.flatMap((configClass) => [
      {
        provide: getConfigToken(configClass, name),
        inject: [loaded],
        useFactory: (refs: LoadedRefs) => refOf(refs, configClass),
      },
      {
        provide: getConfigProxyToken(configClass, name),
        inject: [loaded],
        useFactory: (refs: LoadedRefs) => configProxy(configClass, refOf(refs, configClass)),
      },
    ]),
  ];
}

/** All at once, so that a start tells everything that is wrong with its configuration. */
async function loadRefs(
  configClasses: readonly ConfigClassRef<object>[],
  name: string,
  client: ConclaveClient,
  connections: Connections,
): Promise<LoadedRefs> {
  const results = await Promise.allSettled(
    configClasses.map((configClass) => client.config.ref(configClass)),
  );
  const errors = results.filter((one) => one.status === 'rejected').map((one) => one.reason as Error);
  if (errors.length > 0) {
    await connections.abandon();
    throw errors.length === 1
      ? errors[0]
      : new AggregateError(errors, errors.map((error) => error.message).join('\n'));
  }
  const options = connections.options(name);
  const isFollowed = options.configService !== false && options.configService?.namespaces === undefined;
  const refs = new Map<ConfigClassRef<object>, ConfigRef<object>>();
  results.forEach((result, index) => {
    const configClass = configClasses[index];
    if (result.status !== 'fulfilled' || configClass === undefined) return;
    refs.set(configClass, result.value);
    connections.configs.add({ name, configClass, ref: result.value });
  });
  for (const configClass of isFollowed ? configClasses : []) {
    const definition = definitionOf(configClass);
    if (definition.namespace !== undefined)
      await connections.values.follow(client, options, definition.namespace, definition);
  }
  return refs;
}
