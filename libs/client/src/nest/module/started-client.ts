import { Logger } from '@nestjs/common';
import { settledWithin } from '../../cancellation.js';
import { type ClientOptions, type ConclaveClient, createClient } from '../../client.js';
import { type ConfigOptions } from '../../config/config-options.js';
import { durationMs } from '../../duration.js';
import { ConfigUnavailableError, InvalidArgumentError } from '../../errors.js';
import { type ClientWarning } from '../../host.js';
import { type Clock, nodeRuntime } from '../../runtime.js';
import { meteredTelemetry } from '../metrics/metrics-options.js';
import { type Connections } from './connections.js';
import { type ConclaveModuleOptions } from './options.js';
import { defaultConnection } from './tokens.js';

export const logger = new Logger('Conclave');

const toLog = ({ message, code }: ClientWarning): void => logger.warn(`${message} (${code})`);

export function clockOf(options: ConclaveModuleOptions): Clock {
  return options.clock ?? nodeRuntime.clock;
}

/**
 * Makes the client of a connection and makes it known.
 *
 * @throws InvalidArgumentError for options that cannot work; ConfigUnavailableError when it must reach the store and does not.
 */
export async function startedClient(
  given: ConclaveModuleOptions,
  connections: Connections,
): Promise<ConclaveClient> {
  const telemetry = meteredTelemetry(given.telemetry, given.metrics);
  const options: ConclaveModuleOptions = {
    ...given,
    ...(telemetry === undefined ? {} : { telemetry }),
    ...(telemetry?.logger === undefined ? { onWarning: given.onWarning ?? toLog } : {}),
    moduleValues: given.moduleValues ?? ((path) => connections.configs.applicationValue(path)),
  };
  const client = (options.clientFactory ?? ((all) => createClient(clientOptionsOf(all))))(options);
  connections.add(options.name ?? defaultConnection, client, options);
  if (options.start?.mode === 'require-live') await reached(client, options, connections);
  const namespaces = options.configService === false ? [] : (options.configService?.namespaces ?? []);
  try {
    await Promise.all(namespaces.map((one) => connections.values.follow(client, options, one)));
  } catch (error) {
    await connections.abandon();
    throw error;
  }
  return client;
}

/** The options of the client: those of the configuration stand below `config`. */
export function clientOptionsOf(options: ConclaveModuleOptions): ClientOptions {
  const {
    name: _name,
    isGlobal: _isGlobal,
    shutdown: _shutdown,
    configService: _configService,
    elections: _elections,
    metrics: _metrics,
    ...rest
  } = options;
  const { app, env, instanceId, labels, address, clientFactory: _clientFactory, ...others } = rest;
  const { start, cache, overrideFile, moduleValues, environment, report, holdRelease, files, ...client } =
    others;
  const identity = defined({ env, instanceId, labels, address });
  if (app === undefined) {
    const [first] = Object.keys(identity);
    if (first === undefined) return client;
    throw new InvalidArgumentError(
      `the option ${first} belongs to an app: give ConclaveModule the option app too`,
    );
  }
  const reading = defined({
    start,
    cache,
    overrideFile,
    moduleValues,
    environment,
    report,
    holdRelease,
    files,
  });
  const config: ConfigOptions = { app, ...identity, ...reading };
  return { ...client, config };
}

/** Without the members that are undefined, which are none for the client. */
function defined<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const present = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

async function reached(
  client: ConclaveClient,
  options: ConclaveModuleOptions,
  connections: Connections,
): Promise<void> {
  const limitMs = durationMs(options.start?.timeout ?? '5s', 'start.timeout');
  const ready = client.ready().then(
    () => true,
    () => false,
  );
  let isReady = false;
  void ready.then((value) => (isReady = value));
  await settledWithin(clockOf(options), limitMs, ready);
  if (isReady) return;
  await connections.abandon();
  throw new ConfigUnavailableError(
    `the store could not be reached within ${limitMs} ms, and start.mode is require-live`,
  );
}
