import { Buffer } from 'node:buffer';
import { firstValueFrom, filter, type Subscriber, takeUntil, tap } from 'rxjs';
import { pause, throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { CompactedError, StoreReplacedError } from '../errors.js';
import { type Entry } from '../kv/entry.js';
import { op } from '../kv/operations.js';
import { rangeResult, type TxnResult } from '../kv/txn.js';
import { aborted$ } from '../watch/aborted.js';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { type ServiceContext } from './context.js';
import { type Cursor, decodeMessage, type Message, type TopicKeys } from './message.js';

/** So many messages are fetched at once. */
const pageSize = 500;

/**
 * One subscription of a topic: reads what is there, then follows the history, and reads again whenever history has a gap.
 *
 * Invariant: every message with a revision up to `position` was delivered or lay before the beginning, none after it.
 */
export class TopicReader {
  private position = 0n;
  private readonly stop = new AbortController();

  constructor(
    private readonly context: ServiceContext,
    private readonly topic: string,
    private readonly keys: TopicKeys,
    private readonly after: Cursor | 'beginning' | undefined,
    private readonly subscriber: Subscriber<Message>,
  ) {}

  begin(): void {
    this.run().catch((error: unknown) => {
      if (this.stop.signal.aborted) return;
      if (asConclaveError(error).code === 'closed') this.subscriber.complete();
      else this.subscriber.error(error);
    });
  }

  end(): void {
    this.stop.abort();
  }

  private async run(): Promise<void> {
    let revision = await this.start();
    for (;;) {
      revision ??= await this.catchUp();
      throwIfCancelled(this.context.closing);
      if (this.stop.signal.aborted) return;
      await this.follow(revision + 1n);
      revision = undefined;
    }
  }

  /** Finds the position. The revision from which to follow, when there is nothing to catch up with. */
  private async start(): Promise<bigint | undefined> {
    if (typeof this.after === 'bigint') {
      this.position = this.after;
      return undefined;
    }
    const result = await this.read(() => this.context.kv.txn().do(op.get(this.keys.floor)).commit());
    const isBeginning = this.after === 'beginning';
    this.position = isBeginning ? floorOf(rangeResult(result, 0)) : result.revision;
    return isBeginning ? undefined : result.revision;
  }

  /** Delivers what is kept and was not delivered; the revision up to which that is everything. */
  private async catchUp(): Promise<bigint> {
    for (;;) {
      const messages = op.range(this.keys.messages, {
        prefix: true,
        sort: { by: 'mod', order: 'ascend' },
        minModRevision: this.position + 1n,
        limit: pageSize,
      });
      const result = await this.read(() =>
        this.context.kv.txn().do(op.get(this.keys.floor), messages).commit(),
      );
      if (this.stop.signal.aborted) return result.revision;
      // A linearizable read is never behind what its own store has given out.
      if (result.revision < this.position) throw this.foreignCursor();
      const floor = floorOf(rangeResult(result, 0));
      if (floor > this.position) {
        const lost = `messages of topic '${this.topic}' between ${this.position} and ${floor} are no longer kept`;
        throw new CompactedError(
          `${lost}: subscribe after 'beginning' for the rest, or publish with a longer keep`,
          floor,
        );
      }
      const page = rangeResult(result, 1);
      for (const entry of page) this.deliver(entry.key, entry.value, entry.modRevision);
      if (page.length < pageSize) return result.revision;
    }
  }

  /** Delivers each message as it comes. Resolves when history has a gap, or this subscription has ended. */
  private async follow(fromRevision: bigint): Promise<void> {
    const { watches } = this.context;
    const options = { prefix: true, fromRevision, filter: ['put'], trackKeys: false } as const;
    const gap$ = watches.events(this.keys.messages, options).pipe(
      tap((batch) => this.onBatch(batch)),
      filter((batch) => batch.cause !== 'change'),
      takeUntil(aborted$(this.stop.signal)),
    );
    const gap = await firstValueFrom(gap$, { defaultValue: undefined });
    if (gap?.cause === 'store-replaced') throw this.foreignCursor();
  }

  private foreignCursor(): StoreReplacedError {
    return new StoreReplacedError(
      `the cursors of topic '${this.topic}' are of another store: subscribe anew`,
    );
  }

  private onBatch(batch: RevisionBatch): void {
    if (batch.cause !== 'change') return;
    for (const change of batch.changes) {
      if (change.type === 'put') this.deliver(change.key, change.value, change.modRevision);
    }
  }

  private deliver(key: string, value: Uint8Array, revision: bigint): void {
    if (revision <= this.position) return;
    this.position = revision;
    const message = decodeMessage(value);
    if (message === undefined) return;
    const { body } = message;
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
    const id = key.slice(this.keys.messages.length);
    this.subscriber.next({ topic: this.topic, id, body, text, cursor: revision });
  }

  /** Reading goes on until it succeeds or is pointless. */
  private async read(attempt: () => Promise<TxnResult>): Promise<TxnResult> {
    const { clock, newBackoff, closing } = this.context;
    const backoff = newBackoff();
    for (;;) {
      throwIfCancelled(this.stop.signal);
      throwIfCancelled(closing);
      try {
        return await attempt();
      } catch (error) {
        if (!asConclaveError(error).retryable) throw error;
      }
      await pause(clock, backoff.next(), this.stop.signal);
    }
  }
}

function floorOf(entries: readonly Entry[]): bigint {
  const text = entries[0]?.text ?? '';
  return /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}
