import { firstValueFrom, merge, takeUntil } from 'rxjs';
import { abortable, cancellationOf, pause, throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { ConclaveError, LeaseExpiredError } from '../errors.js';
import { type Value } from '../key-range.js';
import { type Entry } from '../kv/entry.js';
import { compare, op } from '../kv/operations.js';
import { rangeResult, type TxnResult } from '../kv/txn.js';
import { aborted$ } from '../watch/aborted.js';
import { type ConcurrencyContext } from './context.js';
import { type Session } from './session.js';

/** Where a claim stands: at the head, or behind the entry whose deletion it waits for. */
type Standing =
  | { readonly kind: 'owner'; readonly revision: bigint }
  | { readonly kind: 'behind'; readonly revision: bigint; readonly predecessor: Entry };

/**
 * One key `<prefix><lease in hex>` in the queue of a lock or an election: etcd's recipe, so that etcdctl and every other
 * client stand in the same queue. The key with the lowest create revision owns; everybody else waits for the deletion of
 * the key just before their own.
 *
 * The name depends on nothing but the lease, so a transaction whose answer was lost is simply asked again and finds the
 * key of its first attempt.
 *
 * Invariants: `created` is the create revision of the key, once known; after `withdraw` no attempt is made any more.
 */
export class Claim {
  readonly key: string;
  private created = 0n;
  private confirmed = 0n;
  /** The request under way; withdrawing waits for it, so that the delete comes after the put. */
  private attempt: Promise<unknown> = Promise.resolve();
  /** Puts of which nobody knows whether they were applied, or still will be. */
  private unknownPuts = 0;
  private withdrawing: Promise<void> | undefined;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly session: Session,
    readonly prefix: string,
    private readonly value: Value,
  ) {
    this.key = prefix + session.leaseId.toString(16);
  }

  /** The create revision of the key: the fencing token. */
  get token(): bigint {
    return this.created;
  }

  /** The revision at which the store said last that this claim owns; 0n: never. */
  get confirmedAt(): bigint {
    return this.confirmed;
  }

  /** Puts the key into the queue, or finds it there. True when it is the owner at once. */
  async enqueue(stop: AbortSignal): Promise<boolean> {
    const { kv } = this.context;
    const owner = op.range(this.prefix, { prefix: true, sort: { by: 'create', order: 'ascend' }, limit: 1 });
    const result = await this.repeat(stop, true, () =>
      kv
        .txn()
        .if(compare.missing(this.key))
        .do(op.put(this.key, this.value, { lease: this.session.leaseId }), owner)
        .else(op.get(this.key), owner)
        .commit(),
    );
    return this.learn(result);
  }

  /**
   * Takes the key only when nobody stands in the queue: one transaction, and no key is left when somebody does.
   * False: somebody does.
   */
  async enqueueIfFree(stop: AbortSignal): Promise<boolean> {
    const { kv } = this.context;
    const result = await this.repeat(stop, true, () =>
      kv
        .txn()
        .if(compare.missing(this.prefix, { prefix: true }))
        .do(op.put(this.key, this.value, { lease: this.session.leaseId }))
        .else(op.get(this.key), op.range(this.prefix, firstOfQueue))
        .commit(),
    );
    if (result.succeeded) {
      this.created = result.revision;
      this.confirmed = result.revision;
      return true;
    }
    return rangeResult(result, 0).length > 0 && this.learn(result);
  }

  /** Waits until the claim owns. `onQueued` is told how many stand before it, whenever that may have changed. */
  async waitForTurn(stop: AbortSignal, onQueued?: (ahead: number) => void): Promise<void> {
    for (;;) {
      const standing = await this.standing(stop);
      if (standing.kind === 'owner') return;
      if (onQueued !== undefined) onQueued(await this.countAhead(stop));
      await this.predecessorOrOwnKeyGone(standing, stop);
    }
  }

  /**
   * Reads own key and predecessor at one revision. The predecessor being gone is not yet ownership: another one may
   * stand before, and the own key may be gone as well (with the session, during the wait).
   */
  async standing(stop: AbortSignal): Promise<Standing> {
    const { kv } = this.context;
    const before = op.range(this.prefix, {
      prefix: true,
      sort: { by: 'create', order: 'descend' },
      limit: 1,
      maxCreateRevision: this.created - 1n,
    });
    const result = await this.repeat(stop, false, () => kv.txn().do(op.get(this.key), before).commit());
    const [own] = rangeResult(result, 0);
    if (own?.createRevision !== this.created) {
      throw new LeaseExpiredError(`${this.key} was deleted while it waited`, 'key-deleted');
    }
    const [predecessor] = rangeResult(result, 1);
    if (predecessor === undefined) {
      this.confirmed = result.revision;
      return { kind: 'owner', revision: result.revision };
    }
    return { kind: 'behind', revision: result.revision, predecessor };
  }

  /**
   * Deletes the key, if it is the one of this claim, and does not give up before the session ends. Idempotent; never
   * rejects. When it is in doubt whether a lost request may still put the key later, the session is retired as well: the
   * end of its lease is the one thing that no late request survives.
   */
  withdraw(): Promise<void> {
    this.withdrawing ??= this.remove();
    return this.withdrawing;
  }

  private async remove(): Promise<void> {
    await this.attempt.catch(() => undefined);
    if (this.unknownPuts > 0) this.session.retire();
    const { kv, clock } = this.context;
    const backoff = this.context.newBackoff();
    const mine =
      this.created > 0n
        ? compare.createRevision(this.key).equals(this.created)
        : compare.lease(this.key).equals(this.session.leaseId);
    while (this.session.isAlive()) {
      try {
        const timeoutMs = Math.max(1, this.session.remainingMs());
        await kv.txn().if(mine).do(op.delete(this.key)).commit({ timeoutMs });
        return;
      } catch {
        // Deleting again does no harm: the condition names this very life of the key.
        await pause(clock, backoff.next());
      }
    }
  }

  private learn(result: TxnResult): boolean {
    if (result.succeeded) {
      this.created = result.revision;
    } else {
      // The key was put by an attempt that seemed lost: that one is accounted for.
      this.unknownPuts = Math.max(0, this.unknownPuts - 1);
      const [own] = rangeResult(result, 0);
      if (own === undefined) throw new ConclaveError('server', `${this.key} exists and cannot be read`, true);
      this.created = own.createRevision;
    }
    const isOwner = rangeResult(result, 1)[0]?.createRevision === this.created;
    if (isOwner) this.confirmed = result.revision;
    return isOwner;
  }

  /**
   * Runs a transaction that may be asked again, until it is answered. The wait ends with `stop`; the request itself is
   * left to finish, so that a withdrawal can follow it in order.
   */
  private async repeat(stop: AbortSignal, puts: boolean, run: () => Promise<TxnResult>): Promise<TxnResult> {
    const backoff = this.context.newBackoff();
    for (;;) {
      throwIfCancelled(stop);
      if (!this.session.isAlive()) throw this.sessionLost();
      const attempt = run();
      this.attempt = puts ? this.accountFor(attempt) : attempt;
      try {
        return await abortable(attempt, stop);
      } catch (caught) {
        if (stop.aborted) throw cancellationOf(stop);
        const error = asConclaveError(caught);
        if (error.code === 'lease-not-found') {
          this.session.lease.notFound();
          throw this.sessionLost();
        }
        if (error.code !== 'maybe-applied' && !error.retryable) throw error;
      }
      await pause(this.context.clock, backoff.next(), stop);
    }
  }

  /** Settles when the attempt does, and then knows whether its outcome is known. Never rejects. */
  private accountFor(attempt: Promise<TxnResult>): Promise<void> {
    return attempt.then(
      () => undefined,
      (error: unknown) => {
        if (asConclaveError(error).code === 'maybe-applied') this.unknownPuts += 1;
      },
    );
  }

  private async countAhead(stop: AbortSignal): Promise<number> {
    const { entries } = await abortable(
      this.context.kv.range(this.prefix, {
        prefix: true,
        keysOnly: true,
        maxCreateRevision: this.created - 1n,
      }),
      stop,
    );
    return entries.length;
  }

  /**
   * Watches two keys: the predecessor, and nobody else's, so that one release wakes one waiter; and the own one, whose
   * loss is then noticed at once. Any news, compaction and a replaced store included, is reason to look again.
   */
  private async predecessorOrOwnKeyGone(standing: Extract<Standing, { kind: 'behind' }>, stop: AbortSignal) {
    const { watches } = this.context;
    const fromRevision = standing.revision + 1n;
    const news = (key: string | Uint8Array) =>
      watches.events(key, { fromRevision, filter: ['delete'], trackKeys: false });
    const lost = this.session.signal;
    await firstValueFrom(
      merge(news(standing.predecessor.keyBytes), news(this.key)).pipe(
        takeUntil(merge(aborted$(stop), aborted$(lost))),
      ),
      { defaultValue: undefined },
    );
    throwIfCancelled(stop);
    if (!this.session.isAlive()) throw this.sessionLost();
  }

  private sessionLost(): LeaseExpiredError {
    const reason = this.session.lease.lossReason ?? 'lease-expired-server';
    return new LeaseExpiredError(`the session of ${this.key} is lost: ${reason}`, reason);
  }
}

const firstOfQueue = { prefix: true, sort: { by: 'create', order: 'ascend' }, limit: 1 } as const;
