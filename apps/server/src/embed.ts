import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJsonLogger, type ServerLogger } from './logging/server-logger.js';
import { MetricRegistry } from './metrics/registry.js';
import { type OptionName } from './options/flag-table.js';
import { optionsFrom } from './options/server-options.js';
import { optionsDisk } from './start/options-disk.js';
import { startServer } from './start/server.js';

export { OptionsError } from './options/options-error.js';
export { type OptionName } from './options/flag-table.js';
export { type ServerLogger } from './logging/server-logger.js';

/** How an embedded member differs from one with default options. */
export interface EmbedOptions {
  /** Where the member keeps its data. Without it a temporary directory is used and removed by `stop`. */
  readonly dataDir?: string;
  /** Port for clients on 127.0.0.1; 0, the default, takes any free one. */
  readonly port?: number;
  /** Further options by name, as texts of the command line: `{ electionTimeout: '500' }`. */
  readonly options?: Readonly<Partial<Record<OptionName, string>>>;
  /** Receives log lines; without it nothing is logged. */
  readonly logger?: ServerLogger;
}

/** A member that runs inside this process. */
export interface EmbeddedMember {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  /** Resolves with the cause when the member cannot go on. */
  readonly failed: Promise<Error>;
  /** Stops the member, and removes its data when the directory was temporary. */
  stop(): Promise<void>;
}

/**
 * Starts a member inside this process and resolves when it serves clients: for tests and for programs that bring
 * their own store.
 *
 * @throws OptionsError when an option is wrong; the system's error when the port or the directory cannot be used.
 */
export async function startEmbedded(embed: EmbedOptions = {}): Promise<EmbeddedMember> {
  const dataDir = embed.dataDir ?? (await mkdtemp(join(tmpdir(), 'conclave-')));
  const release = async (): Promise<void> => {
    if (embed.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const url = `http://127.0.0.1:${embed.port ?? 0}`;
    // Alone by default: without a peer port two embedded members never meet at the default one.
    const alone = { listenPeerUrls: '' };
    const texts = { dataDir, listenClientUrls: url, advertiseClientUrls: url, ...alone, ...embed.options };
    const { options } = optionsFrom(texts, optionsDisk);
    const logger =
      embed.logger ??
      createJsonLogger('fatal', { write: () => undefined, flush: () => Promise.resolve() }, Date.now);
    const server = await startServer(options, { logger, registry: new MetricRegistry() });
    await server.ready;
    return {
      endpoint: server.clientUrls[0] ?? url,
      failed: server.failed,
      stop: async () => {
        await server.stop();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}
