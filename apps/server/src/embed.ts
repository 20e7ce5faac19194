import { randomUUID } from 'node:crypto';
import { type Pipe } from '@conclave/grpc';
import { openMemoryHome } from './embed/memory-home.js';
import { createJsonLogger, type ServerLogger } from './logging/server-logger.js';
import { MetricRegistry } from './metrics/registry.js';
import { type OptionName } from './options/flag-table.js';
import { optionsFrom, type ServerOptions } from './options/server-options.js';
import { optionsDisk } from './start/options-disk.js';
import { type Server, startServer } from './start/server.js';

export { ListenError } from './start/listen-error.js';
export { OptionsError } from './options/options-error.js';
export { type OptionName } from './options/flag-table.js';
export { type ServerLogger } from './logging/server-logger.js';

/** How an embedded member differs from one with default options. */
export interface EmbedOptions {
  /** Where the member keeps its data. Default: in memory; then `stop` forgets everything. */
  readonly dataDir?: string;
  /**
   * Port for clients on 127.0.0.1; 0 takes any free one. Default: no port; then clients come through `connect` only, and
   * the JSON API, health and metrics, which need a port, are not there.
   */
  readonly port?: number;
  /** Further options by name, as texts of the command line: `{ electionTimeout: '500' }`. */
  readonly options?: Readonly<Partial<Record<OptionName, string>>>;
  /** Receives log lines; without it nothing is logged. */
  readonly logger?: ServerLogger;
}

/** A member that runs inside this process. */
export interface EmbeddedMember {
  /** `http://127.0.0.1:<port>`; undefined without a port. */
  readonly endpoint: string | undefined;
  /** Resolves with the cause when the member cannot go on. */
  readonly failed: Promise<Error>;
  /** A connection for gRPC inside this process: the client's end. */
  connect(): Pipe;
  /** Stops the member; clients are told as if its process ended. Nothing of it is left running. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a member inside this process and resolves when it serves clients: for tests and for programs that bring
 * their own store. A new member is a cluster of its own, with an id that no other one has.
 *
 * @throws OptionsError when an option is wrong, ListenError when the port cannot be used, and the errors of a data directory
 * that cannot be used.
 */
export async function startEmbedded(
  embed: EmbedOptions & { readonly port: number },
): Promise<EmbeddedMember & { readonly endpoint: string }>;
export async function startEmbedded(embed?: EmbedOptions): Promise<EmbeddedMember>;
export async function startEmbedded(embed: EmbedOptions = {}): Promise<EmbeddedMember> {
  const logger = embed.logger ?? silentLogger();
  const isOnDisk = embed.dataDir !== undefined;
  const home = isOnDisk ? {} : { openHome: openMemoryHome };
  const parts = { logger, registry: new MetricRegistry(), ...home };
  const server = await startServer(optionsOf(embed, isOnDisk), parts);
  try {
    await ready(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    endpoint: server.clientUrls[0],
    failed: server.failed,
    connect: () => server.connect(),
    stop: () => server.stop(),
  };
}

function optionsOf(
  { dataDir = 'memory', port, options: further }: EmbedOptions,
  isOnDisk: boolean,
): ServerOptions {
  const url = `http://127.0.0.1:${port ?? 0}`;
  const disk = isOnDisk ? optionsDisk : { ...optionsDisk, holdsMember: () => false };
  const texts = {
    dataDir,
    listenClientUrls: url,
    advertiseClientUrls: url,
    // Alone by default: without a peer port two embedded members never meet at the default one.
    listenPeerUrls: '',
    // The data says which cluster it is of, once there are any.
    ...(disk.holdsMember(dataDir) ? {} : { initialClusterToken: `embedded-${randomUUID()}` }),
    ...further,
  };
  const { options } = optionsFrom(texts, disk);
  return port === undefined ? { ...options, listenClientUrls: [], advertiseClientUrls: [] } : options;
}

/** @throws the cause when the member gives up before it serves anybody. */
async function ready(server: Server): Promise<void> {
  await Promise.race([server.ready, server.failed.then((cause) => Promise.reject(cause))]);
}

function silentLogger(): ServerLogger {
  return createJsonLogger('fatal', { write: () => undefined, flush: () => Promise.resolve() }, Date.now);
}
