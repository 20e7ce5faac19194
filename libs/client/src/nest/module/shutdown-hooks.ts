import { type Clock, type Timer } from '../../runtime.js';
import { logger } from './started-client.js';

/** Applications call enableShutdownHooks soon after they were made; some only after the start. */
const graceMs = 5_000;

/**
 * Looks, some time after the start, whether anything would end the application in order when the process is told to end. Whoever has a
 * listener of his own is thought to know what he does.
 */
export function watchForShutdownHooks(clock: Clock): Timer {
  return clock.setTimer(graceMs, () => {
    if (process.listenerCount('SIGTERM') > 0) return;
    logger.warn(
      'nothing listens to SIGTERM: what this process holds (locks, leaderships, leases) stays taken until its TTL is over. ' +
        'Call app.enableShutdownHooks() in main.ts',
    );
  });
}
