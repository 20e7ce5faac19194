import { LeaseTerms } from './lease-terms.js';
import { type History, type Operation, type SeenEvent, valueOf } from './operation.js';
import { deletion, describeEvent, isSameEvent, type StoreModel } from './store-model.js';

/**
 * Finds, revision by revision, the operation that made it, and says when there is none, when it ran a second time or when
 * it should have made something else.
 */
export class Attribution {
  /** Revision that an operation made, by id. */
  readonly revisionOf = new Map<string, number>();
  private readonly byId: ReadonlyMap<string, Operation>;
  /**
   * Acknowledged deletes and revocations, which leave no id behind, by their revision. Several, because the revocation
   * of a lease without keys answers with the revision that somebody else made.
   */
  private readonly removals = new Map<number, Operation[]>();
  private readonly unknownDeletes = new Map<string, Operation[]>();
  private readonly leases: LeaseTerms;
  private readonly unknownRevocations = new Map<bigint, Operation>();

  constructor(
    private readonly history: History,
    private readonly model: StoreModel,
    private readonly report: (violation: string) => void,
  ) {
    this.byId = new Map(history.operations.map((operation) => [operation.id, operation]));
    this.leases = new LeaseTerms(history.operations);
    for (const operation of history.operations) this.index(operation);
    // Whichever was called first can have taken place at the most revisions.
    for (const deletes of this.unknownDeletes.values()) deletes.sort((a, b) => a.calledAt - b.calledAt);
  }

  /** Judges the events of one revision against the model, which stands at the revision before. */
  judge(revision: number, events: readonly SeenEvent[]): void {
    const writers = new Set(events.filter(({ kind }) => kind === 'put').map(({ writer }) => writer));
    if (writers.size === 0) return this.judgeRemoval(revision, events);
    if (writers.size > 1) this.report(`revision ${revision} mixes the writes of ${[...writers].join(', ')}`);
    const [writer] = writers;
    const operation = this.byId.get(writer);
    if (operation === undefined)
      return this.report(`revision ${revision} has a write of ${writer}, which was never called`);
    this.claim(operation, revision);
    this.compare(revision, this.expectedOf(operation, revision), events);
  }

  private index(operation: Operation): void {
    const { request, outcome } = operation;
    if (request.kind !== 'delete' && request.kind !== 'revoke') return;
    if (outcome.kind === 'done') {
      if (request.kind === 'delete' && outcome.deleted === 0) return;
      this.removals.set(outcome.revision, [...(this.removals.get(outcome.revision) ?? []), operation]);
    } else if (outcome.kind === 'unknown') {
      if (request.kind === 'revoke') this.unknownRevocations.set(request.lease, operation);
      else this.unknownDeletes.set(request.key, [...(this.unknownDeletes.get(request.key) ?? []), operation]);
    }
  }

  private judgeRemoval(revision: number, events: readonly SeenEvent[]): void {
    const lease = this.model.at(events[0].key)?.lease ?? 0n;
    const acknowledged = (this.removals.get(revision) ?? []).find(({ request }) =>
      request.kind === 'revoke' ? request.lease === lease : lease === 0n,
    );
    const operation = acknowledged ?? this.unacknowledged(revision, lease, events);
    if (operation === undefined) {
      const removed = events.map(({ key }) => key).join(', ');
      return this.report(`nobody asked for the removal of ${removed} at revision ${revision}`);
    }
    if (operation === 'expiry') return;
    this.claim(operation, revision);
    this.compare(revision, this.expectedOf(operation, revision), events);
  }

  /** The end of a lease by itself is nobody's operation. */
  private unacknowledged(
    revision: number,
    lease: bigint,
    events: readonly SeenEvent[],
  ): Operation | 'expiry' | undefined {
    if (lease === 0n) return this.unknownDeletes.get(events[0].key)?.shift();
    if (this.leases.grantOf(lease) === undefined) return undefined;
    const unknown = this.unknownRevocations.get(lease);
    if (unknown !== undefined) return unknown;
    this.compare(
      revision,
      this.model.attachedTo(lease).map((key) => deletion(key, revision)),
      events,
    );
    const early = this.leases.earliestEnd(lease) - (this.history.arrivalMs.get(revision) ?? Infinity);
    if (early > 0) this.report(`lease ${lease} expired at revision ${revision}, ${early} ms early`);
    return 'expiry';
  }

  private claim(operation: Operation, revision: number): void {
    const { id, outcome } = operation;
    const first = this.revisionOf.get(id);
    if (first !== undefined) this.report(`${id} took place twice, at revisions ${first} and ${revision}`);
    this.revisionOf.set(id, revision);
    if (outcome.kind === 'failed')
      this.report(`${id} failed (${outcome.reason}), but took place at revision ${revision}`);
    if (outcome.kind === 'done' && outcome.revision !== revision) {
      this.report(`${id} was acknowledged at revision ${outcome.revision}, but took place at ${revision}`);
    }
  }

  private expectedOf({ id, request }: Operation, revision: number): SeenEvent[] {
    const { model } = this;
    const put = (key: string, padding: number, lease: bigint): SeenEvent =>
      model.expectedPut(key, id, valueOf(id, padding).length, lease, revision);
    switch (request.kind) {
      case 'put':
        return [put(request.key, request.padding, request.lease)];
      case 'delete':
        return model.at(request.key) === undefined ? [] : [deletion(request.key, revision)];
      case 'batch': {
        const { puts, remove } = request;
        const removes = remove !== undefined && model.at(remove) !== undefined;
        return [...(removes ? [deletion(remove, revision)] : []), ...puts.map((key) => put(key, 0, 0n))];
      }
      case 'swap':
        return (model.at(request.key)?.modRevision ?? 0) === request.expected
          ? [put(request.key, 0, 0n)]
          : [];
      case 'revoke':
        return model.attachedTo(request.lease).map((key) => deletion(key, revision));
      case 'read':
      case 'grant':
      case 'renew':
        return [];
    }
  }

  private compare(revision: number, expected: readonly SeenEvent[], events: readonly SeenEvent[]): void {
    for (let place = 0; place < Math.max(expected.length, events.length); place++) {
      const [wanted, got] = [expected[place], events[place]];
      if (wanted !== undefined && got !== undefined && isSameEvent(wanted, got)) continue;
      return this.report(
        `revision ${revision} should have ${describeEvent(wanted)} in place ${place}, but has ${describeEvent(got)}`,
      );
    }
  }
}
