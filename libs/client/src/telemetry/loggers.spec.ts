import { Logger, type LoggerService } from '@nestjs/common';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { nestLogger, pinoLogger } from './loggers.js';

describe('pinoLogger', () => {
  it('writes message and fields as pino does', () => {
    const lines: Record<string, unknown>[] = [];
    const target = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    const logger = pinoLogger(pino({ level: 'debug' }, target));
    logger.debug('d');
    logger.info('i', { endpoint: 'a' });
    logger.warn('w');
    logger.error('e', { n: 1 });
    expect(lines).toMatchObject([
      { level: 20, msg: 'd' },
      { level: 30, msg: 'i', endpoint: 'a' },
      { level: 40, msg: 'w' },
      { level: 50, msg: 'e', n: 1 },
    ]);
  });
});

describe('nestLogger', () => {
  afterEach(() => Logger.overrideLogger(true));

  it('writes through the logger of the application, under its context', () => {
    const said: unknown[][] = [];
    const at =
      (level: string) =>
      (...words: unknown[]): void =>
        void said.push([level, ...words]);
    const service: LoggerService = {
      log: at('log'),
      warn: at('warn'),
      error: at('error'),
      debug: at('debug'),
    };
    Logger.overrideLogger(service);
    const logger = nestLogger(new Logger('conclave'));
    logger.debug('d');
    logger.info('i');
    logger.error('e', { n: 1 });
    expect(said).toEqual([
      ['debug', 'd', 'conclave'],
      ['log', 'i', 'conclave'],
      ['error', 'e', { n: 1 }, 'conclave'],
    ]);
    expect(() =>
      nestLogger({ log: () => undefined, warn: at('w'), error: at('e') }).debug('x'),
    ).not.toThrow();
  });
});
