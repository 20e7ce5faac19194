import { settledWithin } from '../../cancellation.js';
import { type ConfigClassRef } from '../../config/config-class.js';
import { type ConfigChange, type ConfigRef } from '../../config/config-ref.js';
import { type Duration, durationMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { type FeatureTarget, registerFeature } from '../module/explorer.js';
import { clockOf, logger } from '../module/started-client.js';
import { defaultConnection } from '../module/tokens.js';
import { drainMsOf } from '../shutdown/shutdown-times.js';
import { ChangeHandler } from './change-handler.js';

export interface OnConfigChangeOptions<C extends object = object> {
  /** Only changes of these properties; default: of all. The change tells all that changed. */
  readonly keys?: readonly (keyof C & string)[];
  /** Also called with the first value, when the application starts; default false. */
  readonly initial?: boolean;
  /** Called when nothing has changed for so long; default 0. */
  readonly debounce?: Duration;
  /** `latest` (default): while one call runs, all further changes become one. `all`: each has its own call, in turn. */
  readonly concurrency?: 'latest' | 'all';
  /** Of the connection; default `default`. */
  readonly name?: string;
}

export type ConfigChangeHandler<C> = (change: ConfigChange<C>) => void | Promise<void>;

interface Handled {
  readonly configClass: ConfigClassRef<object>;
  readonly options: OnConfigChangeOptions;
}

const key = Symbol.for('@conclave/client/nest/on-config-change');

/**
 * Calls the method when the values of a config class have changed: once for each release, after the application has started, one call
 * at a time. What it throws is logged and counted, and stops nothing. No call begins after its object was told to be destroyed; a call
 * that runs then is waited for, as long as `shutdown.drain` says.
 *
 * @throws InvalidArgumentError for a debounce that is none; at the start when the class is in no `forFeature`.
 */
export function OnConfigChange<C extends object>(
  configClass: ConfigClassRef<C>,
  options: OnConfigChangeOptions<C> = {},
): <M extends ConfigChangeHandler<C>>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void {
  durationMs(options.debounce ?? 0, '@OnConfigChange debounce');
  return (_, __, { value: method }) => {
    if (method === undefined) return;
    const others = (Reflect.getMetadata(key, method) as readonly Handled[] | undefined) ?? [];
    Reflect.defineMetadata(key, [...others, { configClass, options }], method);
  };
}

registerFeature<readonly Handled[]>({
  key,
  onlyStatic: '@OnConfigChange',
  bind: (target) => target.metadata.forEach((handled) => bindHandler(target, handled)),
});

function bindHandler(target: FeatureTarget, { configClass, options }: Handled): void {
  const { instance, connections } = target;
  const { name = defaultConnection, keys, initial = false, debounce = 0, concurrency = 'latest' } = options;
  const settings = connections.options(name);
  const clock = clockOf(settings);
  const handler = new ChangeHandler(refOf(target, configClass, name), {
    keys: keys as readonly never[] | undefined,
    debounceMs: durationMs(debounce, 'debounce'),
    concurrency,
    clock,
    call: (change) => call(target, configClass, change),
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= settledWithin(clock, drainMsOf(settings), handler.stop()));
  connections.lifecycle.onStart(() => handler.start(initial));
  connections.lifecycle.onStop(stop);
  stopWithInstance(instance, stop);
}

function shownTarget({ instance, methodName }: FeatureTarget): string {
  return `${instance.constructor.name}.${methodName}`;
}

function refOf(target: FeatureTarget, configClass: ConfigClassRef<object>, name: string): ConfigRef<object> {
  const ref = target.connections.configs.find(name, configClass);
  if (ref !== undefined) return ref;
  const connection = name === defaultConnection ? '' : `, { name: '${name}' }`;
  throw new InvalidArgumentError(
    `@OnConfigChange(${configClass.name}) of ${shownTarget(target)}: import ConclaveModule.forFeature([${configClass.name}]${connection}) in its module`,
  );
}

/** Never rejects. */
async function call(
  target: FeatureTarget,
  configClass: ConfigClassRef<object>,
  change: ConfigChange<object>,
): Promise<void> {
  const { instance, methodName, connections } = target;
  const shown = shownTarget(target);
  try {
    await (instance as Record<string, ConfigChangeHandler<object>>)[methodName]?.(change);
    connections.configs.handled(shown, true);
  } catch (error) {
    connections.configs.handled(shown, false);
    const what = `${shown} failed to handle a change of ${configClass.name}, revision ${change.revision}`;
    logger.error(what, error instanceof Error ? error.stack : String(error));
  }
}

/** Nest destroys the modules that depend on others first, so the object itself is told before the SDK's own modules. */
function stopWithInstance(instance: object, stop: () => Promise<void>): void {
  const destroy = (instance as { onModuleDestroy?: () => unknown }).onModuleDestroy;
  Object.defineProperty(instance, 'onModuleDestroy', {
    configurable: true,
    writable: true,
    value: async function (this: object): Promise<void> {
      await stop();
      await destroy?.call(this);
    },
  });
}
