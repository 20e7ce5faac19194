import {
  ConfigModelError,
  formatRef,
  type InstanceTraits,
  type NamespaceId,
  namespacePrefix,
} from '@conclave/config-model';
import { type Subscription } from 'rxjs';
import { type Backoff } from '../backoff.js';
import { pause } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { type ConclaveError } from '../errors.js';
import { type Kv, type RangeResult } from '../kv/kv.js';
import { type Clock } from '../runtime.js';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { type Watches } from '../watch/watches.js';
import {
  chooseRelease,
  groupOf,
  nameOf,
  type ReleaseChoice,
  type StoredRow,
  type StoredRows,
} from './release-choice.js';
import { fetchContent, loadRelease, type LoadedRelease, UnusableReleaseError } from './release-content.js';
import { isPast } from './past-revision.js';
import { type GateNeed, type NamespaceState, type Rejection } from './release-gate.js';

export interface FeedContext {
  readonly kv: Kv;
  readonly watches: Watches;
  readonly clock: Clock;
  readonly newBackoff: () => Backoff;
  readonly traits: InstanceTraits;
}

export interface FeedObserver {
  /** A state of the namespace, in the order of revisions. */
  state(state: NamespaceState): void;
  live(): void;
  stale(error: ConclaveError): void;
  /** It cannot be watched, and nothing will change that: no permission, for example. */
  failed(error: ConclaveError): void;
  /** Something that the operator should know of. */
  remark(message: string): void;
}

/** What is taken in one step. `complete`: the changes name every row. */
type Intake = Pick<RevisionBatch, 'revision' | 'cause' | 'changes' | 'complete'>;

/** How often the rows are read again and compared, in case a server lost a change; give or take a tenth. */
const auditEveryMs = 600_000;

/**
 * One namespace of the center, from its rows to its document. Batches are taken one after the other; one whose document is read by
 * reference holds up those behind it.
 *
 * Invariants: `rows` are the rows at `position`; `good` is the last release that could be read, and `goodRows` the rows it came from.
 */
export class NamespaceFeed {
  readonly name: string;
  private rows: Map<string, StoredRow> = new Map();
  private position = 0n;
  private good: LoadedRelease | undefined;
  private goodRows: StoredRows = new Map();
  private inbox: Intake[] = [];
  private isBusy = false;
  private isCatchingUp = false;
  private readonly stopping = new AbortController();
  private readonly subscription: Subscription;

  constructor(
    readonly id: NamespaceId,
    private readonly context: FeedContext,
    private readonly observer: FeedObserver,
  ) {
    this.name = nameOf(id);
    const prefix = namespacePrefix(id);
    const signals$ = context.watches.open(prefix, { prefix: true, initial: true, auditEveryMs });
    this.subscription = signals$.subscribe({
      next: (signal) => {
        if (signal.kind === 'batch') this.take(signal.batch);
        else if (signal.kind === 'live') observer.live();
        else observer.stale(signal.error);
      },
      error: (error: unknown) => observer.failed(asConclaveError(error)),
    });
  }

  close(): void {
    this.stopping.abort();
    this.subscription.unsubscribe();
  }

  /**
   * Reads the namespace without waiting for its watch: as it is at a revision (now, when that cannot be read any more), or, undefined,
   * as another store has it now.
   */
  async catchUp(revision: bigint | undefined): Promise<void> {
    if (this.isCatchingUp) return;
    this.isCatchingUp = true;
    const { signal } = this.stopping;
    // The store is not reached: the gate will ask again, or the watch will tell.
    const found = await this.read(revision).catch(() => undefined);
    this.isCatchingUp = false;
    if (found === undefined || signal.aborted) return;
    const changes = found.entries.map((entry) => ({
      type: 'put' as const,
      key: entry.key,
      keyBytes: entry.keyBytes,
      value: entry.value,
      created: false,
      createRevision: entry.createRevision,
      modRevision: entry.modRevision,
      version: entry.version,
    }));
    const cause = revision === undefined ? 'store-replaced' : 'change';
    this.take({ revision: found.revision, cause, changes, complete: true });
  }

  private async read(revision: bigint | undefined): Promise<Pick<RangeResult, 'revision' | 'entries'>> {
    const { kv } = this.context;
    const { signal } = this.stopping;
    const prefix = namespacePrefix(this.id);
    if (revision === undefined) return kv.range(prefix, { prefix: true, signal });
    try {
      const { entries } = await kv.range(prefix, { prefix: true, revision, signal });
      return { revision, entries };
    } catch (error) {
      const { code } = asConclaveError(error);
      if (code !== 'compacted' && code !== 'future-revision') throw error;
      return kv.range(prefix, { prefix: true, signal });
    }
  }

  private take(intake: Intake): void {
    this.inbox.push(intake);
    this.work();
  }

  private work(): void {
    while (!this.isBusy) {
      const intake = this.inbox.shift();
      if (intake === undefined) return;
      if (isPast(intake, this.position)) continue;
      this.step(intake);
    }
  }

  private step(intake: Intake): void {
    const needs = this.apply(intake);
    const { chosen, problem } = this.choose();
    if (chosen === undefined) return this.tell(intake, undefined, problem, needs);
    const { good } = this;
    if (good !== undefined && intake.cause !== 'store-replaced' && isSameChoice(good, chosen)) {
      return this.tell(intake, good, undefined, needs);
    }
    if (chosen.head.content !== undefined) {
      const { release, problem: refusal } = this.load(chosen, undefined);
      return this.tell(intake, release, refusal, needs);
    }
    this.isBusy = true;
    this.fetch(chosen.head.release).then(
      (row) => {
        const { release, problem: refusal } = this.load(chosen, row);
        this.tell(intake, release, refusal, needs);
        this.isBusy = false;
        this.work();
      },
      // Only the end of the feed ends the attempts.
      () => undefined,
    );
  }

  /** Takes the changes into the rows, and gives what must be shown together with them. */
  private apply({ changes, complete, revision, cause }: Intake): GateNeed[] {
    const before = this.rows;
    const rows = complete ? new Map<string, StoredRow>() : new Map(before);
    const needs: GateNeed[] = [];
    const need = (members: readonly string[], at: bigint): void => {
      if (members.length > 1) needs.push({ members, revision: at });
    };
    for (const change of changes) {
      const { key } = change;
      if (change.type === 'delete') {
        rows.delete(key);
        continue;
      }
      const row: StoredRow = { key, value: change.value, modRevision: change.modRevision };
      rows.set(key, row);
      need(groupOf(row), row.modRevision);
    }
    // What was released together is mostly taken away together too.
    const isOtherStore = cause === 'store-replaced';
    for (const [key, gone] of before) if (!isOtherStore && !rows.has(key)) need(groupOf(gone), revision);
    this.rows = rows;
    this.position = revision;
    return needs;
  }

  private choose() {
    try {
      const { chosen, unreadable } = chooseRelease(this.rows, this.context.traits);
      for (const message of unreadable) this.observer.remark(message);
      return { chosen, problem: undefined };
    } catch (error) {
      return { chosen: undefined, problem: { message: messageOf(error), release: 0n, sha256: '' } };
    }
  }

  private load(chosen: ReleaseChoice, row: StoredRow | undefined) {
    try {
      return { release: loadRelease(chosen, row), problem: undefined };
    } catch (error) {
      const { release, sha256 } = chosen.head;
      return { release: undefined, problem: { message: messageOf(error), release, sha256 } };
    }
  }

  private async fetch(release: bigint): Promise<StoredRow | undefined> {
    const { kv, clock } = this.context;
    const { signal } = this.stopping;
    const backoff = this.context.newBackoff();
    for (;;) {
      try {
        return await fetchContent(kv, this.id, release, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        this.observer.stale(asConclaveError(error));
        await pause(clock, backoff.next(), signal);
      }
    }
  }

  private tell(
    { revision, cause }: Intake,
    release: LoadedRelease | undefined,
    problem: Rejection | undefined,
    needs: readonly GateNeed[],
  ): void {
    if (problem === undefined) {
      this.good = release;
      this.goodRows = this.rows;
    }
    const { name, good, goodRows } = this;
    const below = good?.head.extends.map(formatRef) ?? [];
    const all = below.length === 0 ? needs : [...needs, { members: below, revision: 1n }];
    this.observer.state({
      name,
      revision,
      cause,
      release: good,
      rows: goodRows,
      rejected: problem,
      needs: all,
    });
  }
}

function isSameChoice(a: ReleaseChoice, b: ReleaseChoice): boolean {
  return a.modRevision === b.modRevision && a.gray === b.gray && a.head.sha256 === b.head.sha256;
}

function messageOf(error: unknown): string {
  if (error instanceof ConfigModelError || error instanceof UnusableReleaseError) return error.message;
  throw error;
}
