import { GrpcError, GrpcStatus } from '@conclave/grpc';
import { type Operation, type SeenEvent, type Snapshot, type WatchLog } from '../history/operation.js';
import { type ClientAddress, everything, foundKey, MemberClient, revisionOf } from './member-client.js';
import { Watcher } from './watcher.js';
import { within } from './within.js';

/**
 * What is read of a member between two rounds, when nobody writes: the history that it has added, its history once more,
 * all keys at several revisions, the leases.
 *
 * Invariant: `log` has every event of revisions 2 to `known` once, and no later one.
 */
export class Inspection {
  readonly log: SeenEvent[] = [];
  readonly rereadings: WatchLog[] = [];
  readonly snapshots: Snapshot[] = [];
  readonly violations: string[] = [];
  known = 1;
  private readings = 0;

  /**
   * Reads everything that is to be read now.
   *
   * @param compacted The last revision that a compaction was asked for; 0 when there was none.
   * @param isCompactionSure False when the last compaction may not have happened.
   * @param drawn Any number from 0 to 1, which chooses the revision in the past that is read.
   */
  async read(
    member: ClientAddress,
    compacted: number,
    isCompactionSure: boolean,
    drawn: number,
  ): Promise<void> {
    const client = new MemberClient(member);
    try {
      await within(client.channel.connect(), 'connecting to a member that serves');
      const current = revisionOf(await client.range({ key: Buffer.from('plain/a') }));
      if (current < this.known)
        this.violations.push(`the revision went back from ${this.known} to ${current}`);
      await this.readLog(client, compacted, current);
      const past = compacted + Math.floor(drawn * (current - compacted));
      for (const revision of new Set([current, Math.max(1, past)])) await this.readState(client, revision);
      if (isCompactionSure && compacted > 1) await this.expectCompacted(client, compacted - 1);
    } finally {
      await client.close();
    }
  }

  /** Leases of which it is certain that they exist, do; those of which it is certain that they do not, do not. */
  async checkLeases(member: ClientAddress, operations: readonly Operation[]): Promise<void> {
    const client = new MemberClient(member);
    const there = new Set(await client.leases());
    await client.close();
    const revoked = new Map<bigint, Operation>();
    for (const operation of operations)
      if (operation.request.kind === 'revoke') revoked.set(operation.request.lease, operation);
    for (const { id, request, outcome } of operations) {
      if (request.kind !== 'grant') continue;
      const revocation = revoked.get(request.lease);
      const isLong = request.ttlSeconds > 60;
      if (outcome.kind === 'done' && revocation === undefined && isLong && !there.has(request.lease))
        this.violations.push(`lease ${request.lease} of ${id} was granted and is gone`);
      if (outcome.kind === 'failed' && there.has(request.lease))
        this.violations.push(`lease ${request.lease} of ${id} was refused (${outcome.reason}) and is there`);
      if (revocation?.outcome.kind === 'done' && there.has(request.lease))
        this.violations.push(`lease ${request.lease} was revoked by ${revocation.id} and is still there`);
    }
  }

  /** Reads what is new, and every third time everything that is not compacted. */
  private async readLog(client: MemberClient, compacted: number, current: number): Promise<void> {
    this.readings++;
    const from = this.readings % 3 === 0 ? compacted + 1 : this.known + 1;
    if (from > current) return;
    const name = `reading ${this.readings}`;
    const reader = new Watcher({ name, ...everything, matches: () => true, from });
    reader.connect(client);
    await within(reader.until(current), `${name} of the history from ${from} to ${current}`);
    reader.disconnect();
    if (reader.cancelReason !== undefined)
      this.violations.push(`${name} was refused: ${reader.cancelReason}`);
    // A lease may run out behind `current`, while this is read: that is for the next reading.
    const events = reader.events.filter(({ modRevision }) => modRevision <= current);
    this.log.push(...events.filter(({ modRevision }) => modRevision > this.known));
    if (from <= this.known) this.rereadings.push({ name, from, to: current, matches: () => true, events });
    this.known = current;
  }

  private async readState(client: MemberClient, revision: number): Promise<void> {
    const { kvs } = await client.range({ ...everything, revision: BigInt(revision) });
    this.snapshots.push({ taken: `in reading ${this.readings}`, revision, keys: kvs.map(foundKey) });
  }

  private async expectCompacted(client: MemberClient, revision: number): Promise<void> {
    try {
      await client.range({ ...everything, revision: BigInt(revision), count_only: true });
      this.violations.push(`revision ${revision} is there again after it was compacted`);
    } catch (error) {
      if (!(error instanceof GrpcError) || error.code !== GrpcStatus.OutOfRange) throw error;
    }
  }
}
