import { type Operation } from './operation.js';

/** What clients know about the end of leases: granted, renewed and revoked when. */
export class LeaseTerms {
  private readonly grants = new Map<bigint, Operation>();
  private readonly earliestEnds = new Map<bigint, number>();
  private readonly revocations = new Map<bigint, Operation>();

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) this.index(operation);
  }

  /** The grant of a lease, unless it is certain that it failed. */
  grantOf(lease: bigint): Operation | undefined {
    return this.grants.get(lease);
  }

  /**
   * The time, on the clock of the clients, before which a lease may not end by itself: its TTL after the last grant or
   * renewal that was answered had been sent.
   */
  earliestEnd(lease: bigint): number {
    return this.earliestEnds.get(lease) ?? -Infinity;
  }

  /** What is wrong with the answer to a renewal; undefined when nothing is. */
  violationOf({ id, request, outcome, calledAt, answeredAt, answeredMs }: Operation): string | undefined {
    if (request.kind !== 'renew' || outcome.kind !== 'done') return undefined;
    const { lease } = request;
    const revocation = this.revocations.get(lease);
    if (outcome.ttlSeconds !== 0) {
      const wasGone = revocation?.outcome.kind === 'done' && revocation.answeredAt < calledAt;
      return wasGone ? `${id} renewed lease ${lease}, which ${revocation.id} had revoked` : undefined;
    }
    if (this.grants.get(lease)?.outcome.kind !== 'done') return undefined;
    const isRevoked = revocation !== undefined && revocation.calledAt < answeredAt;
    if (isRevoked || answeredMs >= this.earliestEnd(lease)) return undefined;
    return `${id} was told that lease ${lease} is gone ${this.earliestEnd(lease) - answeredMs} ms before it may end`;
  }

  private index(operation: Operation): void {
    const { request, outcome, sentMs } = operation;
    if (request.kind === 'revoke' && outcome.kind !== 'failed')
      this.revocations.set(request.lease, operation);
    if (request.kind === 'grant' && outcome.kind !== 'failed') {
      this.grants.set(request.lease, operation);
      this.extend(request.lease, sentMs + request.ttlSeconds * 1_000);
    }
    if (request.kind === 'renew' && outcome.kind === 'done' && outcome.ttlSeconds !== undefined)
      if (outcome.ttlSeconds > 0) this.extend(request.lease, sentMs + outcome.ttlSeconds * 1_000);
  }

  private extend(lease: bigint, end: number): void {
    this.earliestEnds.set(lease, Math.max(this.earliestEnd(lease), end));
  }
}
