import { etcdserverpb } from '@conclave/protocol';
import { type CommittedLog } from './checks/committed-log.js';
import { type Oracle } from './checks/oracle.js';
import { type Connection } from './clients/connection.js';
import { rangeRequest } from './clients/requests.js';
import { type WatchClient } from './clients/watch-client.js';
import { electionMs, type Member } from './world/member.js';
import { type Schedule } from './world/schedule.js';
import { Violation } from './world/violation.js';

export interface FinalParts {
  readonly schedule: Schedule;
  readonly member: Member;
  readonly log: CommittedLog;
  readonly oracle: Oracle;
  readonly watchClients: readonly WatchClient[];
  readonly operator: Connection;
  /** The longest TTL of a lease. */
  readonly ttlMs: number;
}

/** Within this a healthy member must serve. */
const startBoundMs = 10_000;

/** When nothing breaks any more everything must come to rest: the liveness half of a run. */
export class FinalChecks {
  constructor(private readonly parts: FinalParts) {}

  async run(): Promise<void> {
    const { log, watchClients, ttlMs } = this.parts;
    await this.serving();
    const isRoomy = (): boolean => !log.model.isOutOfSpace;
    await this.within('R11', 'the alarm is disarmed', 20_000, isRoomy);
    const bound = ttlMs + electionMs + 4_000;
    await this.within(
      'E2',
      'all leases that nobody renews have run out',
      bound,
      () => log.model.leases.size === 0,
    );
    await this.pause(2_000);
    for (const client of watchClients) client.checkCurrent();
    await this.compareHistory();
    await this.restart();
    await this.compareHistory();
  }

  private async serving(): Promise<void> {
    const { member } = this.parts;
    await this.within('R11', 'a healthy member serves', startBoundMs, () => member.engine !== undefined);
  }

  private async within(property: string, what: string, ms: number, isSo: () => boolean): Promise<void> {
    const { schedule } = this.parts;
    if (await schedule.run(schedule.now + ms, isSo)) return;
    if (!isSo()) throw new Violation(property, `after ${ms} ms it is not so that ${what}`);
  }

  private async pause(ms: number): Promise<void> {
    const { schedule } = this.parts;
    await schedule.run(schedule.now + ms, () => false);
  }

  /** Stops the member in order and starts it again. */
  private async restart(): Promise<void> {
    const { member } = this.parts;
    let isClosed = false;
    const closing = member.close().then(() => (isClosed = true));
    await this.within('R11', 'a member that is told to close has closed', startBoundMs, () => isClosed);
    await closing;
    member.start();
    await this.serving();
  }

  /** Every revision that may be read, and one that may not be, must read as the model says (K7). */
  private async compareHistory(): Promise<void> {
    const { log } = this.parts;
    const { revision, compacted } = log.model;
    const first = Math.max(1, compacted - 1);
    const step = Math.max(1, Math.floor((revision - first) / 25));
    for (let at = revision + 1; at >= first; at -= at > revision - 3 ? 1 : step) await this.readAll(at);
    await this.readAll(first);
  }

  private async readAll(revision: number): Promise<void> {
    const everything = Buffer.from('\0');
    const request = etcdserverpb.RangeRequest.fromPartial({
      key: everything,
      range_end: everything,
      revision: BigInt(revision),
    });
    let isAnswered = false;
    this.parts.operator.call(rangeRequest(request), (outcome) => {
      isAnswered = outcome.kind !== 'unknown';
    });
    await this.within('R11', 'a read is answered', 10_000, () => isAnswered);
  }
}
