import { type NamespaceStatus } from '../../config/document-view.js';
import { ageOf, type HealthFacts } from './health-facts.js';

export type HealthStatus = 'up' | 'degraded' | 'down';

/** What the indicator says, for people and dashboards; no value of any configuration is in it. */
export interface HealthDetails {
  readonly connection: string;
  readonly endpoint?: string;
  /** By namespace: the release in force, and how fresh it is. */
  readonly config?: Readonly<Record<string, string>>;
  /** Why it is not up, one sentence each. */
  readonly reasons?: readonly string[];
}

export interface Judgement {
  readonly status: HealthStatus;
  readonly details: HealthDetails;
}

/**
 * `down`: the client is closed or has never reached the store, a configuration was never loaded, a leader is past its deadline, or
 * something is older than `maxStaleMs`. `degraded`: works with what it has, from the cache or without a connection, or with an older
 * release because the newest is refused. `up`: everything else.
 */
export function judgeHealth(facts: HealthFacts, maxStaleMs: number): Judgement {
  const down: string[] = [];
  const degraded: string[] = [];
  for (const election of facts.overdueLeaders) {
    down.push(`still leads '${election}' although its deadline has passed`);
  }
  judgeConnection(facts, maxStaleMs, down, degraded);
  for (const [name, status] of facts.config) {
    judgeConfig(name, status, { now: facts.now, maxStaleMs }, down, degraded);
  }
  const reasons = [...down, ...degraded];
  const { connection, config } = facts;
  return {
    status: down.length > 0 ? 'down' : degraded.length > 0 ? 'degraded' : 'up',
    details: {
      connection: connection.kind,
      ...(connection.kind === 'connected' ? { endpoint: connection.endpoint } : {}),
      ...(config.size === 0 ? {} : { config: Object.fromEntries([...config].map(shown)) }),
      ...(reasons.length === 0 ? {} : { reasons }),
    },
  };
}

function shown([name, { release, state, freshness }]: [string, NamespaceStatus]): [string, string] {
  return [name, `${state}${release === '' ? '' : ` ${release}`}, ${freshness.kind}`];
}

function judgeConnection(
  { connection, config, now }: HealthFacts,
  maxStaleMs: number,
  down: string[],
  degraded: string[],
): void {
  switch (connection.kind) {
    case 'connected':
      return;
    case 'closed':
      down.push('the client is closed');
      return;
    case 'idle':
    case 'connecting': {
      const why = 'lastError' in connection ? `: ${connection.lastError?.message ?? ''}` : '';
      // What runs with a configuration from the cache works.
      (config.size > 0 ? degraded : down).push(`the store has not been reached yet${why}`);
      return;
    }
    case 'suspended': {
      const ageMs = now - connection.since;
      const sentence = `no connection for ${seconds(ageMs)}: ${connection.lastError.message}`;
      (ageMs > maxStaleMs ? down : degraded).push(sentence);
    }
  }
}

function judgeConfig(
  name: string,
  { state, error, release, freshness }: NamespaceStatus,
  { now, maxStaleMs }: { readonly now: number; readonly maxStaleMs: number },
  down: string[],
  degraded: string[],
): void {
  if (state === 'loading') {
    down.push(`the configuration '${name}' was never loaded${error === undefined ? '' : `: ${error}`}`);
    return;
  }
  if (state === 'rejected') {
    degraded.push(
      `the configuration '${name}' stays at release ${release || 'none'}: ${error ?? 'the newest is refused'}`,
    );
  }
  const ageMs = ageOf(freshness, now);
  if (ageMs === undefined) return;
  const sentence = `the configuration '${name}' is ${freshness.kind} since ${seconds(ageMs)}`;
  (ageMs > maxStaleMs ? down : degraded).push(sentence);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
