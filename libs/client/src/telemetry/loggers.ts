import { type LoggerLike } from './telemetry-options.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** What is used of a logger of pino: it takes the fields first, and the message behind them. */
export type PinoLike = Readonly<Record<Level, (fields: object, message: string) => void>>;

/** What is used of a logger of Nest, whose `log` is what others call `info`. */
export interface NestLoggerLike {
  debug?(message: string, ...fields: unknown[]): void;
  log(message: string, ...fields: unknown[]): void;
  warn(message: string, ...fields: unknown[]): void;
  error(message: string, ...fields: unknown[]): void;
}

/** Lines through pino: `telemetry: { logger: pinoLogger(pino()) }`. */
export function pinoLogger(pino: PinoLike): LoggerLike {
  const at =
    (level: Level): LoggerLike[Level] =>
    (message, fields = {}) =>
      pino[level](fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Lines through a logger of Nest: `telemetry: { logger: nestLogger(new Logger('conclave')) }`. */
export function nestLogger(logger: NestLoggerLike): LoggerLike {
  const at =
    (level: keyof NestLoggerLike): LoggerLike[Level] =>
    (message, fields) => {
      // The last word of a call is the context to Nest when it is a text, so fields go as an object.
      if (fields === undefined) logger[level]?.(message);
      else logger[level]?.(message, fields);
    };
  return { debug: at('debug'), info: at('log'), warn: at('warn'), error: at('error') };
}
