import { type Engine } from '../engine/engine.js';
import { serverVersion } from '../engine/requests/version.js';
import { type HttpFront } from '../http-api/http-front.js';
import { type HttpServices } from '../http-api/http-services.js';
import { type ServerLogger } from '../logging/server-logger.js';
import { type MetricRegistry } from '../metrics/registry.js';
import { type ServerOptions } from '../options/server-options.js';
import { preloadModules } from './module-preloading.js';

/** The HTTP application, loading or loaded. */
export interface LoadedApplication {
  close(): Promise<void>;
}

interface LoadingParts {
  readonly logger: ServerLogger;
  readonly registry: MetricRegistry;
}

/** What takes long to load, in the order in which it is needed. */
const heavyPackages = [
  'reflect-metadata',
  'rxjs',
  'fastify',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-fastify',
];
/** Nest is loaded after this time at the latest: probes that ask for the first time later need not wait a second for it. */
const loadAfterMs = 3_000;
const jsonDepthMax = 200;
const bodyTimeoutMs = 60_000;

/**
 * Loads Nest when the first HTTP connection comes, or some time after the start, and installs the HTTP application: loading
 * costs more than all else that a start does, and would delay a member that is needed. HTTP connections wait
 * meanwhile. An application that cannot be loaded is a defect and ends the process.
 */
export function loadHttpApplication(
  engine: Engine,
  front: HttpFront,
  options: ServerOptions,
  parts: LoadingParts,
): LoadedApplication {
  let isClosed = false;
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const timer = setTimeout(begin, loadAfterMs);
  void front.isWanted.then(begin);
  const loading = begun.then(async () => {
    clearTimeout(timer);
    if (isClosed) return undefined;
    await preloadModules(heavyPackages);
    if (isClosed) return undefined;
    const [{ AppModule }, { installHttpApplication }] = await Promise.all([
      import('../app.module.js'),
      import('../http-api/http-application.js'),
    ]);
    const services = servicesOf(engine, options, parts);
    return installHttpApplication(AppModule.forMember(services), front, {
      warn: (message) => parts.logger.warn(message),
      onDefect: services.onDefect,
    });
  });
  return {
    async close() {
      isClosed = true;
      begin();
      await (await loading)?.close();
    },
  };
}

function servicesOf(
  engine: Engine,
  options: ServerOptions,
  { logger, registry }: LoadingParts,
): HttpServices {
  return {
    methods: engine.methods,
    state: engine.state,
    registry,
    limits: { messageBytesMax: options.maxRequestBytes + 512 * 1024, depthMax: jsonDepthMax, bodyTimeoutMs },
    healthReadTimeoutMs: 5_000 + 2 * options.electionTimeout,
    serverVersion,
    commandLine: process.argv,
    onDefect: (error, where) => {
      const stack = error instanceof Error ? error.stack : String(error);
      logger.error('the HTTP application failed', { where, stack });
    },
  };
}
