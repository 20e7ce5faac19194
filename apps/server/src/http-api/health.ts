import { Buffer } from 'node:buffer';
import { etcdserverpb, type ProtocolError } from '@conclave/protocol';
import { type Counter } from '../engine/platform/meter.js';
import { type MetricRegistry } from '../metrics/registry.js';
import { type MethodTable, type RequestContext } from '../engine/requests/method.js';
import { type AlarmKind, type MemberState } from './member-state.js';

/** The answer of `/health`; `health` is a text because etcd's is. */
export interface Health {
  readonly health: 'true' | 'false';
  readonly reason: string;
}

/** A named check of `/livez` or `/readyz`. Resolves with what is wrong, or undefined. */
type Check = () => Promise<string | undefined>;

export type Probe = 'livez' | 'readyz';

export interface CheckResult {
  readonly name: string;
  readonly isExcluded: boolean;
  /** What is wrong; undefined when nothing is. */
  readonly problem: string | undefined;
}

/** Errors that say that the store answers, only not to somebody without credentials. */
const answersAnyway: ReadonlySet<string | undefined> = new Set(['UserEmpty', 'PermissionDenied']);

/** Decides whether this member is well, the way etcd does: by its alarms, its leader, and a read of one key. */
export class HealthChecker {
  readonly #checks: Readonly<Record<Probe, ReadonlyMap<string, Check>>>;
  readonly #successes: Counter;
  readonly #failures: Counter;

  /** @param readTimeoutMs How long the read may take. */
  constructor(
    private readonly methods: MethodTable,
    private readonly state: MemberState,
    private readonly readTimeoutMs: number,
    private readonly meter: MetricRegistry,
  ) {
    this.#successes = meter.counter(
      'etcd_server_health_success',
      'The total number of successful health checks.',
    );
    this.#failures = meter.counter(
      'etcd_server_health_failures',
      'The total number of failed health checks.',
    );
    const serializableRead: [string, Check] = ['serializable_read', () => this.#read(true)];
    this.#checks = {
      // A member in doubt refuses reads until it has a new state. It lives: no restart would bring that sooner.
      livez: new Map<string, Check>([
        ['serializable_read', async () => (doubtOf(state) === undefined ? this.#read(true) : undefined)],
      ]),
      readyz: new Map<string, Check>([
        ['data_corruption', async () => (isCorrupt(state) ? 'alarm activated: CORRUPT' : doubtOf(state))],
        serializableRead,
        ['linearizable_read', () => this.#read(false)],
        ['non_learner', async () => (state.isLearner() ? 'the member is a learner' : undefined)],
      ]),
    };
  }

  /**
   * The old endpoint, `/health`.
   *
   * @param excluded Alarms that do not count.
   * @param serializable Ask only whether this member answers, not whether the cluster has a quorum.
   */
  async health(excluded: ReadonlySet<string>, serializable: boolean): Promise<Health> {
    const reason = await this.#reason(excluded, serializable);
    (reason === undefined ? this.#successes : this.#failures).add(1);
    return reason === undefined ? { health: 'true', reason: '' } : { health: 'false', reason };
  }

  async #reason(excluded: ReadonlySet<string>, serializable: boolean): Promise<string | undefined> {
    const alarm = this.state.alarms().find((kind: AlarmKind) => !excluded.has(kind));
    if (alarm !== undefined) return `ALARM ${alarm}`;
    const doubt = doubtOf(this.state);
    if (doubt !== undefined) return `IN DOUBT:${doubt}`;
    if (!serializable && this.state.leader() === 0n) return 'RAFT NO LEADER';
    const problem = await this.#read(serializable);
    return problem === undefined ? undefined : `RANGE ERROR:${problem}`;
  }

  checkNames(probe: Probe): readonly string[] {
    return [...this.#checks[probe].keys()];
  }

  /** Runs the checks of a probe, or only the one named. */
  async run(probe: Probe, excluded: ReadonlySet<string>, only?: string): Promise<readonly CheckResult[]> {
    const selected = [...this.#checks[probe]].filter(([name]) => only === undefined || name === only);
    return Promise.all(
      selected.map(async ([name, check]) => {
        const isExcluded = excluded.has(name);
        const problem = isExcluded ? undefined : await check();
        if (!isExcluded) this.#record(probe, name, problem === undefined);
        return { name, isExcluded, problem };
      }),
    );
  }

  #record(probe: Probe, name: string, isWell: boolean): void {
    const help = 'The result of each kind of health check, 1 when it passed last.';
    this.meter.gauge('etcd_server_healthcheck', help, { type: probe, name }).set(isWell ? 1 : 0);
    const status = isWell ? 'success' : 'error';
    this.meter
      .counter('etcd_server_healthchecks_total', 'The total number of health checks.', {
        type: probe,
        name,
        status,
      })
      .add(1);
  }

  /** Resolves with the error of reading one key, or undefined when the store answers. */
  #read(serializable: boolean): Promise<string | undefined> {
    const range = this.methods.get('/etcdserverpb.KV/Range');
    if (range?.kind !== 'unary') return Promise.resolve('the store is not served');
    const request = etcdserverpb.RangeRequest.encode(
      etcdserverpb.RangeRequest.fromPartial({
        key: Buffer.from('health'),
        limit: 1n,
        keys_only: true,
        serializable,
      }),
    ).finish();
    return new Promise((resolve) => {
      const context: RequestContext = { token: undefined, requireLeader: false, onCancel: undefined };
      const timer = setTimeout(() => {
        resolve('context deadline exceeded');
        context.onCancel?.();
      }, this.readTimeoutMs);
      range.call(request, context, (error) => {
        clearTimeout(timer);
        resolve(describe(error));
      });
    });
  }
}

function isCorrupt(state: MemberState): boolean {
  return state.alarms().includes('CORRUPT');
}

/** Why this member serves nobody although no alarm is raised; undefined when what it holds is sound. */
function doubtOf(state: MemberState): string | undefined {
  switch (state.integrity()) {
    case 'sound':
      return undefined;
    case 'results-differ':
      return 'what this member applied differs from the majority; it waits for a state of the leader';
    case 'log-differs':
      return 'the log of this member differs from the majority; it waits for a state of the leader';
  }
}

function describe(error: ProtocolError | undefined): string | undefined {
  return error === undefined || answersAnyway.has(error.reason) ? undefined : error.message;
}

/** The plain text of a probe: `ok`, or one line per check when something is wrong or the caller wants them all. */
export function probeText(results: readonly CheckResult[], isVerbose: boolean): string {
  const isWell = results.every(({ problem }) => problem === undefined);
  if (isWell && !isVerbose) return 'ok\n';
  const lines = results.map(({ name, isExcluded, problem }) => {
    if (isExcluded) return `[+]${name} excluded: ok\n`;
    return problem === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${problem}\n`;
  });
  return lines.join('') + (isWell ? 'ok\n' : '');
}
