import { type Connections } from '../module/connections.js';
import { clockOf } from '../module/started-client.js';
import { defaultConnection } from '../module/tokens.js';
import { type ApplicationWork } from '../shutdown/application-work.js';
import { drainMsOf } from '../shutdown/shutdown-times.js';
import { LeaderRole } from './leader-role.js';

/** The elections that one application takes part in: each once, however many decorators and guards name it. */
export class LeaderRoles {
  private readonly roles = new Map<string, LeaderRole>();
  private phase: 'starting' | 'running' | 'over' = 'starting';

  constructor(
    private readonly connections: Connections,
    private readonly work: ApplicationWork,
  ) {}

  all(): readonly LeaderRole[] {
    return [...this.roles.values()];
  }

  /** The elections of a connection in which this process leads although its deadline has passed. */
  overdue(connection: string): readonly string[] {
    const roles = [...this.roles].filter(([key]) => (JSON.parse(key) as string[])[0] === connection);
    return roles.filter(([, role]) => role.isOverdue).map(([, role]) => role.election);
  }

  /** Takes part from the start of the application on; at once when it runs. @throws InvalidArgumentError for an unknown connection. */
  join(election: string, connection: string = defaultConnection): LeaderRole {
    const key = JSON.stringify([connection, election]);
    const known = this.roles.get(key);
    if (known !== undefined) return known;
    const client = this.connections.client(connection);
    const options = this.connections.options(connection);
    const surroundings = { clock: clockOf(options), drainMs: drainMsOf(options), work: this.work };
    const role = new LeaderRole(client, election, options.elections ?? {}, surroundings);
    this.roles.set(key, role);
    if (this.phase === 'running') role.begin();
    if (this.phase === 'over') role.drain();
    return role;
  }

  start(): void {
    if (this.phase !== 'starting') return;
    this.phase = 'running';
    for (const role of this.roles.values()) role.begin();
  }

  drain(): void {
    this.phase = 'over';
    for (const role of this.roles.values()) role.drain();
  }

  async end(): Promise<void> {
    this.drain();
    await Promise.all(this.all().map((role) => role.end()));
  }
}
