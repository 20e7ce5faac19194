import { EMPTY, firstValueFrom, merge, type Observable, takeUntil } from 'rxjs';
import { abortable, cancellationOf, pause, throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { ConclaveError, LeaseExpiredError } from '../errors.js';
import { type Value } from '../key-range.js';
import { type Entry } from '../kv/entry.js';
import { compare, op } from '../kv/operations.js';
import { rangeResult, type TxnResult } from '../kv/txn.js';
import { aborted$ } from '../watch/aborted.js';
import { type ConcurrencyContext } from './context.js';
import { type Ahead, queuePosition } from './queue-position.js';
import { type Session } from './session.js';

/** Where a claim stands: at the head, or behind the entry whose deletion it waits for. */
type Standing =
  | { readonly kind: 'owner'; readonly revision: bigint }
  | { readonly kind: 'behind'; readonly revision: bigint; readonly predecessor: Entry };

/** The claim is first, and is to queue again at the end, because the last leader resigned in favour of somebody else. */
export class StandBack extends Error {}

/** What a claim puts into which queue, and for whom it waits. */
export interface Contention {
  /** The prefix of all keys of the queue. */
  readonly prefix: string;
  /**
   * The prefix of those for whom it waits, as long as they came before: the whole queue, or for a reader the writers of it.
   */
  readonly blockers: string;
  readonly key: string;
  readonly value: Value;
  /** The key that says in whose favour a leader resigned, for queues that have one. */
  readonly cession?: string | undefined;
}

/**
 * One key `<prefix><lease in hex>` in the queue of a lock or an election: etcd's recipe, so that etcdctl and every other
 * client stand in the same queue. The key with the lowest create revision owns; everybody else waits for the deletion of
 * the key just before their own. (A reader owns when no writer came before it, and its key is in a folder of the queue.)
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
  private cluster = 0n;
  /** The request under way; withdrawing waits for it, so that the delete comes after the put. */
  private attempt: Promise<unknown> = Promise.resolve();
  /** Puts of which nobody knows whether they were applied, or still will be. */
  private unknownPuts = 0;
  private withdrawing: Promise<void> | undefined;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly session: Session,
    private readonly contention: Contention,
  ) {
    this.key = contention.key;
  }

  /**
   * The claim of an earlier life of this process, which put its key at the revision `token`. @throws LeaseExpiredError
   * (rejects) when that key is gone.
   */
  static async resumed(
    context: ConcurrencyContext,
    session: Session,
    contention: Contention,
    token: bigint,
    stop: AbortSignal,
  ): Promise<Claim> {
    const claim = new Claim(context, session, contention);
    claim.created = token;
    await claim.standing(stop);
    return claim;
  }

  /** The prefix of the queue. */
  get prefix(): string {
    return this.contention.prefix;
  }

  /** The cluster that the key is in; 0n before the first answer. */
  get clusterId(): bigint {
    return this.cluster;
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
    const { blockers, value } = this.contention;
    const owner = op.range(blockers, firstOfQueue);
    const result = await this.repeat(stop, true, () =>
      kv
        .txn()
        .if(compare.missing(this.key))
        .do(op.put(this.key, value, { lease: this.session.leaseId }), owner)
        .else(op.get(this.key), owner)
        .commit(),
    );
    return this.learn(result);
  }

  /**
   * Takes the key only when nobody stands before: one transaction, and no key is left when somebody does.
   * False: somebody does.
   */
  async enqueueIfFree(stop: AbortSignal): Promise<boolean> {
    const { kv } = this.context;
    const { blockers, value } = this.contention;
    const result = await this.repeat(stop, true, () =>
      kv
        .txn()
        .if(compare.missing(blockers, { prefix: true }), compare.missing(this.key))
        .do(op.put(this.key, value, { lease: this.session.leaseId }))
        .else(op.get(this.key), op.range(blockers, firstOfQueue))
        .commit(),
    );
    this.cluster = result.clusterId;
    if (result.succeeded) {
      this.created = result.revision;
      this.confirmed = result.revision;
      return true;
    }
    return rangeResult(result, 0).length > 0 && this.learn(result);
  }

  /**
   * Waits until the claim owns. `onQueued` is told how many stand before it, now and whenever that changes.
   *
   * @throws StandBack (rejects) when the last leader resigned in favour of somebody behind.
   */
  async waitForTurn(stop: AbortSignal, onQueued?: (ahead: number) => void): Promise<void> {
    const tell = onQueued === undefined ? undefined : onChange(onQueued);
    for (;;) {
      const standing = await this.standing(stop);
      if (standing.kind === 'owner') return;
      const position$ =
        tell === undefined
          ? EMPTY
          : queuePosition(this.context.watches, await this.ahead(standing.revision, stop), tell);
      await this.predecessorOrOwnKeyGone(standing, position$, stop);
    }
  }

  /**
   * Reads own key and predecessor at one revision. The predecessor being gone is not yet ownership: another one may
   * stand before, and the own key may be gone as well (with the session, during the wait).
   */
  async standing(stop: AbortSignal): Promise<Standing> {
    const { kv } = this.context;
    const { blockers, cession } = this.contention;
    const before = op.range(blockers, {
      prefix: true,
      sort: { by: 'create', order: 'descend' },
      limit: 1,
      maxCreateRevision: this.created - 1n,
    });
    const reads = [op.get(this.key), before, ...(cession === undefined ? [] : [op.get(cession)])];
    const result = await this.repeat(stop, false, () =>
      kv
        .txn()
        .do(...reads)
        .commit(),
    );
    this.cluster = result.clusterId;
    const [own] = rangeResult(result, 0);
    if (own?.createRevision !== this.created) {
      throw new LeaseExpiredError(`${this.key} was deleted while it waited`, 'key-deleted');
    }
    const [predecessor] = rangeResult(result, 1);
    if (predecessor === undefined) {
      if (cession !== undefined) await this.standBackFor(rangeResult(result, 2)[0], stop);
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
    this.cluster = result.clusterId;
    if (result.succeeded) {
      this.created = result.revision;
    } else {
      // The key was put by an attempt that seemed lost: that one is accounted for.
      this.unknownPuts = Math.max(0, this.unknownPuts - 1);
      const [own] = rangeResult(result, 0);
      if (own === undefined) throw new ConclaveError('server', `${this.key} exists and cannot be read`, true);
      this.created = own.createRevision;
    }
    const oldest = rangeResult(result, 1)[0];
    // Readers do not stand in the range that blocks them: nobody there who is older is what counts.
    const isOwner = oldest === undefined || oldest.createRevision >= this.created;
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

  /** Those who stand before, now: never older than `since`. */
  private async ahead(since: bigint, stop: AbortSignal): Promise<Ahead> {
    const prefix = this.contention.blockers;
    const reading = { prefix: true, keysOnly: true, maxCreateRevision: this.created - 1n } as const;
    const { entries, revision } = await abortable(this.context.kv.range(prefix, reading), stop);
    return { prefix, keys: entries.map((entry) => entry.key), revision: revision > since ? revision : since };
  }

  /** The head of the queue gives way when the last leader resigned in favour of somebody who stands behind. */
  private async standBackFor(cession: Entry | undefined, stop: AbortSignal): Promise<void> {
    const favoured = cession === undefined || !/^[0-9]+$/.test(cession.text) ? 0n : BigInt(cession.text);
    if (favoured <= this.created) return;
    const that = {
      prefix: true,
      keysOnly: true,
      minCreateRevision: favoured,
      maxCreateRevision: favoured,
    } as const;
    const { entries } = await abortable(this.context.kv.range(this.prefix, that), stop);
    if (entries.length > 0) throw new StandBack();
  }

  /**
   * Watches two keys: the predecessor, and nobody else's, so that one release wakes one waiter; and the own one, whose
   * loss is then noticed at once. Any news, compaction and a replaced store included, is reason to look again.
   */
  private async predecessorOrOwnKeyGone(
    standing: Extract<Standing, { kind: 'behind' }>,
    position$: Observable<unknown>,
    stop: AbortSignal,
  ) {
    const { watches } = this.context;
    const fromRevision = standing.revision + 1n;
    const news = (key: string | Uint8Array) =>
      watches.events(key, { fromRevision, filter: ['delete'], trackKeys: false });
    const lost = this.session.signal;
    await firstValueFrom(
      merge(news(standing.predecessor.keyBytes), news(this.key), position$).pipe(
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

/** Passes on only what differs from the time before. */
function onChange(tell: (count: number) => void): (count: number) => void {
  let last: number | undefined;
  return (count) => {
    if (count === last) return;
    last = count;
    tell(count);
  };
}

const firstOfQueue = { prefix: true, sort: { by: 'create', order: 'ascend' }, limit: 1 } as const;
