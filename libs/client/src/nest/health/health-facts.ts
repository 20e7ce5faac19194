import { firstValueFrom } from 'rxjs';
import { settledWithin } from '../../cancellation.js';
import { definitionOf } from '../../config/config-class.js';
import { type ConfigFreshness, type NamespaceStatus } from '../../config/document-view.js';
import { type ConnectionState } from '../../connection/connection-state.js';
import { type Connections } from '../module/connections.js';
import { clockOf } from '../module/started-client.js';
import { applicationOf } from '../shutdown/application.js';

/** What the health of one connection is judged by. */
export interface HealthFacts {
  readonly connection: ConnectionState;
  /** By namespace, or by the prefix of plain keys. */
  readonly config: ReadonlyMap<string, NamespaceStatus>;
  /** Elections in which this process leads although its deadline has passed. */
  readonly overdueLeaders: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** Waits up to `limitMs` for the connection, when there is none. */
export async function healthFacts(
  connections: Connections,
  name: string,
  limitMs: number,
): Promise<HealthFacts> {
  const client = connections.client(name);
  const options = connections.options(name);
  const clock = clockOf(options);
  const newest = (): Promise<ConnectionState> => firstValueFrom(client.connection$, { defaultValue: closed });
  const { kind } = await newest();
  if (kind === 'idle' || kind === 'connecting') await settledWithin(clock, limitMs, client.ready());
  const namespaces = options.app === undefined ? noStatuses : await firstValueFrom(client.config.status$);
  const { roles } = applicationOf(connections);
  return {
    connection: await newest(),
    config: new Map([...namespaces, ...plainKeys(connections, name)]),
    overdueLeaders: roles.overdue(name),
    now: clock.wall(),
  };
}

const closed: ConnectionState = { kind: 'closed' };
const noStatuses: ReadonlyMap<string, NamespaceStatus> = new Map();

function plainKeys(connections: Connections, name: string): [string, NamespaceStatus][] {
  return connections.configs.all().flatMap(({ name: of, configClass, ref }): [string, NamespaceStatus][] => {
    const { keys } = definitionOf(configClass);
    if (of !== name || keys === undefined) return [];
    return [[keys, { release: '', state: 'applied', freshness: ref.freshness }]];
  });
}

/** How long ago the values were known to be the newest, in milliseconds; undefined: they are, or are meant to stay. */
export function ageOf(freshness: ConfigFreshness, now: number): number | undefined {
  switch (freshness.kind) {
    case 'live':
    case 'pinned':
      return undefined;
    case 'stale':
      return now - freshness.since;
    case 'cached':
      return now - freshness.savedAt;
  }
}
