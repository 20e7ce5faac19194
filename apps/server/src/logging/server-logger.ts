import { pino } from 'pino';
import { type LogFields, type Logger } from '../engine/platform/logger.js';
import { consoleLine } from './console-line.js';
import { type LogSink } from './log-sink.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Invariant: ascending severity. */
const severities: Readonly<Record<LogLevel, number>> = {
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
};

/** etcd's two levels for programming errors are our highest. */
export function logLevelOf(
  flag: 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'dpanic' | 'fatal',
): LogLevel {
  return flag === 'panic' || flag === 'dpanic' ? 'fatal' : flag;
}

/** The engine's logger, and one level more for what ends the process. */
export interface ServerLogger extends Logger {
  fatal(message: string, fields?: LogFields): void;
}

/** JSON lines with etcd's keys: `level`, `ts`, `msg`, then the fields. */
export function createJsonLogger(level: LogLevel, sink: LogSink, wall: () => number): ServerLogger {
  const lines = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date(wall()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => sink.write(line) },
  );
  return {
    debug: (message, fields) => lines.debug(fields ?? {}, message),
    info: (message, fields) => lines.info(fields ?? {}, message),
    warn: (message, fields) => lines.warn(fields ?? {}, message),
    error: (message, fields) => lines.error(fields ?? {}, message),
    fatal: (message, fields) => lines.fatal(fields ?? {}, message),
  };
}

/** Lines for people, tab-separated. */
export function createConsoleLogger(level: LogLevel, sink: LogSink, wall: () => number): ServerLogger {
  const least = severities[level];
  const at =
    (own: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (severities[own] >= least) sink.write(consoleLine(wall(), own, message, fields));
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') };
}
