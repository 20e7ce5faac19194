import { type ConfigTree, isTree } from '@conclave/config-model';
import { firstValueFrom, Subscription } from 'rxjs';
import { createClient } from '../../client.js';
import { type DocumentView } from '../../config/document-view.js';
import { ConfigUnavailableError } from '../../errors.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { clientOptionsOf } from '../module/started-client.js';

export interface ConfigCenterLoaderOptions extends Omit<ConclaveModuleOptions, 'isGlobal' | 'configService'> {
  /** Of the app, or `app/namespace` of public ones. Where several have a path, the first one wins. */
  readonly namespaces: readonly string[];
}

/**
 * For `ConfigModule.forRoot({ load: [configCenterLoader({ … })] })`: the values of the start, for what reads configuration before the
 * application runs, such as constructors and factories. They do not change; `ConclaveModule` gives the ones that do.
 *
 * @throws ConfigUnavailableError, InvalidArgumentError (the function that is returned rejects, and the start fails).
 */
export function configCenterLoader(
  options: ConfigCenterLoaderOptions,
): () => Promise<Record<string, unknown>> {
  const { namespaces, ...connection } = options;
  return async () => {
    // The application itself reports what it runs.
    const all: ConclaveModuleOptions = { ...connection, report: false };
    const client = (options.clientFactory ?? ((given) => createClient(clientOptionsOf(given))))(all);
    const asking = new Subscription();
    try {
      for (const namespace of namespaces) asking.add(client.config.document$(namespace).subscribe());
      const views = await firstValueFrom(client.config.snapshot$());
      const statuses = await firstValueFrom(client.config.status$);
      const documents = namespaces.map((namespace) => {
        const view = views.get(namespace);
        if (view !== undefined) return view;
        const why =
          statuses.get(namespace)?.error ?? 'the store was not reached, and the cache does not have it';
        throw new ConfigUnavailableError(`the configuration '${namespace}' cannot be loaded: ${why}`);
      });
      return documents.reduceRight<ConfigTree>((below, view) => merged(below, treeOf(view)), {});
    } finally {
      asking.unsubscribe();
      await client.close();
    }
  };
}

function treeOf(view: DocumentView): ConfigTree {
  return view.format === 'text' ? {} : view.tree;
}

function merged(below: ConfigTree, above: ConfigTree): ConfigTree {
  const result: Record<string, ConfigTree[string]> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const under = result[name];
    result[name] = isTree(value) && under !== undefined && isTree(under) ? merged(under, value) : value;
  }
  return result;
}
