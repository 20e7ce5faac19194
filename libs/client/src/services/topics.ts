import { Observable } from 'rxjs';
import { type Duration, durationMs } from '../duration.js';
import { bytesOf } from '../key-range.js';
import { compare, op } from '../kv/operations.js';
import { type ServiceContext } from './context.js';
import {
  type Cursor,
  decodeMessage,
  encodeMessage,
  type Message,
  type TopicKeys,
  topicKeys,
} from './message.js';
import { putOnce, randomName } from './own-put.js';
import { TopicReader } from './topic-reader.js';

export interface PublishOptions {
  /** How long it may be fetched later, by the clock of the publisher; default 1 hour. */
  readonly keep?: Duration;
}

export interface SubscribeOptions {
  /** Begin after this message, or with the oldest one that is kept; default: from now on. */
  readonly after?: Cursor | 'beginning';
}

/** So many removals fit into one transaction of every server (etcd's default limit is 128 operations). */
const removalsAtOnce = 100;
/** A topic is tidied by its publishers, each at most this often. */
const tidyEveryMs = 60_000;

/**
 * Small messages to all who listen. No work queue: every subscriber gets every message. A message is a key of its own;
 * publishers remove those whose time has passed and write down, in the same transaction, up to which revision, so a
 * subscriber that missed some is told. What remains when nobody publishes any more are the last messages.
 */
export class Topics {
  private published = 0;
  /** By topic: when this client tidied it last, on the monotonic clock. */
  private readonly tidiedAt = new Map<string, number>();

  constructor(private readonly context: ServiceContext) {}

  /**
   * Resolves with the message's position when it is as durable as any write. A lost answer is asked for again without
   * publishing twice.
   *
   * @throws MaybeAppliedError when every answer was lost; InvalidArgumentError; any ConclaveError of the store (rejects).
   */
  async publish(topic: string, body: string | Uint8Array, options: PublishOptions = {}): Promise<Cursor> {
    const keys = topicKeys(topic);
    const { clock, host, random } = this.context;
    const keepUntilMs = clock.wall() + durationMs(options.keep ?? '1h', 'keep');
    const value = encodeMessage(keepUntilMs, bytesOf(body));
    for (;;) {
      this.published += 1;
      const key = `${keys.messages}${host.identity}-${this.published}-${randomName(random)}`;
      const outcome = await putOnce(this.context, { key, value });
      if (outcome.kind !== 'put') continue;
      this.tidyNowAndThen(topic, keys);
      return outcome.revision as bigint;
    }
  }

  /**
   * Every message in order, none twice, none missed while it is kept, over lost connections and compaction.
   *
   * Errors with CompactedError when messages after the cursor are no longer kept, with StoreReplacedError when the store is
   * another one, since cursors mean nothing there; completes when the client closes.
   */
  subscribe(topic: string, options: SubscribeOptions = {}): Observable<Message> {
    const keys = topicKeys(topic);
    return new Observable((subscriber) => {
      const reader = new TopicReader(this.context, topic, keys, options.after, subscriber);
      subscriber.add(() => reader.end());
      reader.begin();
    });
  }

  private tidyNowAndThen(topic: string, keys: TopicKeys): void {
    const now = this.context.clock.monotonic();
    const last = this.tidiedAt.get(topic);
    if (last !== undefined && now - last < tidyEveryMs) return;
    this.tidiedAt.set(topic, now);
    // Best effort: the next publisher finds what this one leaves.
    this.tidy(keys).catch(() => undefined);
  }

  /** Removes the oldest messages up to the first one whose time has not passed, whatever their own times. */
  private async tidy(keys: TopicKeys): Promise<void> {
    const { kv, clock } = this.context;
    for (;;) {
      const floor = await kv.get(keys.floor);
      const { entries } = await kv.range(keys.messages, {
        prefix: true,
        sort: { by: 'mod', order: 'ascend' },
        limit: removalsAtOnce,
      });
      const kept = entries.findIndex(
        (entry) => (decodeMessage(entry.value)?.keepUntilMs ?? 0) > clock.wall(),
      );
      const past = kept === -1 ? entries : entries.slice(0, kept);
      const last = past.at(-1);
      if (last === undefined) return;
      // The floor never goes back: somebody else who tidies at the same time makes this one look again.
      await kv
        .txn()
        .if(compare.modRevision(keys.floor).equals(floor?.modRevision ?? 0n))
        .do(op.put(keys.floor, String(last.modRevision)), ...past.map((entry) => op.delete(entry.keyBytes)))
        .commit();
      if (past.length < removalsAtOnce) return;
    }
  }
}
