import { logger } from '../module/started-client.js';

/** An error that is handled by being told. */
export function logFailure(what: string, error: unknown): void {
  logger.error(`${what}: ${String(error)}`, error instanceof Error ? error.stack : undefined);
}
