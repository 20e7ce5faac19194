import { durationMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { leaseTimes } from '../../lease/leases.js';
import { type ConclaveModuleOptions } from '../module/options.js';

/** Resigning, and telling that it is over, may take so long. */
export const resignMs = 1_500;

/** Giving back what is held, revoking the leases and closing the connection may take so long. */
export const closeMs = 1_500;

/**
 * How long the work of a connection may take to come to its end at shutdown, in milliseconds; default 8 s.
 *
 * @throws InvalidArgumentError when the whole shutdown could take longer than the TTL of its elections.
 */
export function drainMsOf(options: ConclaveModuleOptions): number {
  const { ttl } = options.elections ?? {};
  const { ttlMs } = leaseTimes(ttl === undefined ? {} : { ttl });
  const rest = resignMs + closeMs;
  const { drain } = options.shutdown ?? {};
  if (drain === undefined) return Math.min(8_000, Math.max(0, ttlMs - rest - 1));
  const drainMs = durationMs(drain, 'shutdown.drain');
  if (drainMs + rest < ttlMs) return drainMs;
  throw new InvalidArgumentError(
    `shutdown.drain: ${drainMs} ms, and ${rest} ms for the rest of the shutdown, are not less than the TTL of ${ttlMs} ms: ` +
      `take less, or a longer elections.ttl`,
  );
}
