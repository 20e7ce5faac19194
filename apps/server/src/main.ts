import { serverVersion } from './engine/requests/version.js';
import { MetricRegistry } from './metrics/registry.js';
import { type Environment } from './options/environment.js';
import { flagHelp } from './options/help.js';
import { OptionsError } from './options/options-error.js';
import { readOptions, type ReadOptions } from './options/server-options.js';
import { boundHeapGrowth } from './start/heap-growth.js';
import { openLogger } from './start/open-logger.js';
import { optionsDisk } from './start/options-disk.js';
import { ProcessLifecycle } from './start/process-lifecycle.js';
import { startServer } from './start/server.js';

export { flagHelp, serverVersion };

/** Exit code of a command line that cannot be used. */
const exitUsage = 2;

/**
 * Runs a member until a signal ends it: `conclave server`. Mistakes in the options are written to stderr, all at once,
 * and end the process with code 2.
 *
 * @param argv Words after `conclave server`.
 */
export async function runServer(argv: readonly string[], env: Environment = process.env): Promise<void> {
  const read = readOrExit(argv, env);
  if (read === undefined) return;
  const { options, notices } = read;
  boundHeapGrowth();
  const registry = new MetricRegistry();
  const { logger, sink } = await openLogger(options, registry);
  const lifecycle = new ProcessLifecycle(logger, sink);
  for (const { level, text } of notices) logger[level](text);
  logger.info('starting a member', {
    version: serverVersion,
    node: process.version,
    name: options.name,
    'data-dir': options.dataDir,
  });
  try {
    lifecycle.watch(await startServer(options, { logger, registry }));
  } catch (error) {
    lifecycle.fail('the member cannot start', error);
  }
}

function readOrExit(argv: readonly string[], env: Environment): ReadOptions | undefined {
  try {
    return readOptions({ argv, env, disk: optionsDisk });
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = exitUsage;
    return undefined;
  }
}
