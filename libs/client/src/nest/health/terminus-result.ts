import { optionalPeer } from '../module/optional-peer.js';
import { type HealthStatus, type Judgement } from './judge-health.js';

export type HealthResult = Record<string, { readonly status: HealthStatus } & Record<string, unknown>>;

/** What is used of @nestjs/terminus; each of its versions has a part of it. */
export interface Terminus {
  /** Since 11. `degraded` of what `check` gives: since 12.1. */
  readonly HealthIndicatorService?: new () => { check(key: string): object };
  /** Until 11. */
  readonly HealthCheckError?: new (message: string, causes: unknown) => Error;
}

export function loadTerminus(): Terminus {
  return optionalPeer('@nestjs/terminus', 'ConclaveHealthIndicator');
}

/**
 * The judgement as the installed version wants to be told. Where it does not know `degraded`, that is up with `degraded: true`; where it
 * knows no returned `down`, that is thrown.
 *
 * @throws HealthCheckError of @nestjs/terminus 10, for `down`.
 */
export function terminusResult(
  key: string,
  { status, details }: Judgement,
  terminus: Terminus,
): HealthResult {
  const { HealthIndicatorService, HealthCheckError } = terminus;
  const session = HealthIndicatorService === undefined ? {} : new HealthIndicatorService().check(key);
  const isUnknown = status === 'degraded' && !('degraded' in session);
  const result: HealthResult = {
    [key]: { ...details, ...(isUnknown ? { degraded: true } : {}), status: isUnknown ? 'up' : status },
  };
  if (status === 'down' && HealthIndicatorService === undefined && HealthCheckError !== undefined) {
    throw new HealthCheckError(`${key} is down: ${details.reasons?.join('; ') ?? ''}`, result);
  }
  return result;
}
