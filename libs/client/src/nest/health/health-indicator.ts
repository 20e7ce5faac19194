import { Inject, Injectable } from '@nestjs/common';
import { type Duration, durationMs } from '../../duration.js';
import { Connections } from '../module/connections.js';
import { defaultConnection } from '../module/tokens.js';
import { healthFacts } from './health-facts.js';
import { judgeHealth } from './judge-health.js';
import { type HealthResult, loadTerminus, terminusResult } from './terminus-result.js';

export interface HealthOptions {
  /** Down, and not only degraded, when there was no connection or no fresh configuration for longer; default: never. */
  readonly maxStale?: Duration;
  /** How long a client that is not connected yet may take to connect; default 1 s. */
  readonly timeout?: Duration;
  /** Of the connection; default `default`. */
  readonly name?: string;
}

/**
 * For @nestjs/terminus: `up`, `degraded` (works with what it has: stale, cached, or an older release because the newest is refused) or
 * `down` (configuration was never loaded, the store never reached, or a leader is past its deadline).
 */
@Injectable()
export class ConclaveHealthIndicator {
  constructor(@Inject(Connections) private readonly connections: Connections) {}

  /** @throws InvalidArgumentError without @nestjs/terminus or the connection; HealthCheckError of @nestjs/terminus 10 (rejects). */
  async isHealthy(key: string, options: HealthOptions = {}): Promise<HealthResult> {
    const terminus = loadTerminus();
    const limitMs = durationMs(options.timeout ?? '1s', 'timeout');
    const maxStaleMs =
      options.maxStale === undefined ? Number.POSITIVE_INFINITY : durationMs(options.maxStale, 'maxStale');
    const facts = await healthFacts(this.connections, options.name ?? defaultConnection, limitMs);
    return terminusResult(key, judgeHealth(facts, maxStaleMs), terminus);
  }
}
