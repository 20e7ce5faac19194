import { joinLogSinks, type LogSink, openLogSink } from '../logging/log-sink.js';
import {
  createConsoleLogger,
  createJsonLogger,
  logLevelOf,
  type ServerLogger,
} from '../logging/server-logger.js';
import { type MetricRegistry } from '../metrics/registry.js';
import { type ServerOptions } from '../options/server-options.js';

export interface OpenLogger {
  readonly logger: ServerLogger;
  readonly sink: LogSink;
}

/** Opens the outputs that the options name. @throws the system's error when a file cannot be opened. */
export async function openLogger(
  options: Pick<ServerOptions, 'logLevel' | 'logFormat' | 'logOutputs'>,
  registry: MetricRegistry,
): Promise<OpenLogger> {
  const help = 'Log lines that were dropped because nobody took them in time.';
  const dropped = registry.counter('conclave_log_lines_dropped_total', help);
  const sink = joinLogSinks(
    await Promise.all(options.logOutputs.map((output) => openLogSink(output, dropped))),
  );
  const create = options.logFormat === 'json' ? createJsonLogger : createConsoleLogger;
  return { logger: create(logLevelOf(options.logLevel), sink, () => Date.now()), sink };
}
