import { type AppliedRelease } from '@conclave/config-model';
import { type ConclaveError } from '../errors.js';
import { type Timer } from '../runtime.js';
import { type Freshness } from '../watch/state.js';
import {
  type ConfigFreshness,
  type ConfigSource,
  type DocumentView,
  type NamespaceStatus,
} from './document-view.js';
import { type NamespaceFeed } from './namespace-feed.js';
import { type NamespaceState, type Rejection } from './release-gate.js';
import { type StoredRows } from './release-choice.js';

/**
 * What the reader keeps of one namespace.
 *
 * Invariant: `view` is what `inputs` make; it stays when a later attempt to make one is refused, and `refusal` tells why then.
 */
export class TrackedNamespace {
  feed: NamespaceFeed | undefined;
  /** True when the application asked for it, and not only a document that extends it. */
  isAsked = false;
  /** As the gate showed it last. */
  live: NamespaceState | undefined;
  /** Of the watch; undefined before it told anything. */
  freshness: Freshness | undefined;
  /** Why the watch ended; it is begun again later. */
  failure: ConclaveError | undefined;
  /** The time that a start waits for the store has passed. */
  isOverdue = false;
  view: DocumentView | undefined;
  /** Where the view comes from. */
  source: ConfigSource | undefined;
  inputs: readonly unknown[] = [];
  /** Why the newest documents could not be laid over each other. */
  refusal: string | undefined;
  /** Why config classes refused the view, by the name of the class. */
  readonly refusals = new Map<string, string>();
  /** The newest rows that nobody refused. */
  goodRows: StoredRows | undefined;
  timer: Timer | undefined;

  constructor(readonly name: string) {}

  /** The release that was seen and is not in force, if there is one. */
  get rejection(): Rejection | undefined {
    const { view } = this;
    if (this.live?.rejected !== undefined) return this.live.rejected;
    const message = this.refusal ?? [...this.refusals].map(([name, why]) => `${name}: ${why}`).join('; ');
    if (message === '') return undefined;
    const head = this.live?.release?.head;
    return { message, release: head?.release ?? BigInt(view?.release || '0'), sha256: head?.sha256 ?? '' };
  }

  status(unknown: ConfigFreshness): NamespaceStatus {
    const { view, rejection, source } = this;
    const isWatched = source === 'server' || source === 'default';
    const freshness = (isWatched ? this.freshness : undefined) ?? view?.freshness ?? unknown;
    const error = rejection?.message ?? (view === undefined ? this.failure?.message : undefined);
    const state =
      rejection !== undefined
        ? 'rejected'
        : view === undefined
          ? 'loading'
          : view.exists
            ? 'applied'
            : 'missing';
    return { release: view?.release ?? '', state, ...(error === undefined ? {} : { error }), freshness };
  }

  /** Remembers the rows that are in force as good ones, unless somebody refuses what they say. */
  keepRows(): void {
    const { live } = this;
    const isRefused = this.refusals.size > 0 || this.refusal !== undefined;
    if (live === undefined || isRefused || (live.rejected !== undefined && live.release === undefined))
      return;
    const content = live.release?.contentRow;
    this.goodRows = content === undefined ? live.rows : new Map([...live.rows, [content.key, content]]);
  }

  /** For the report of the instance; undefined while there is nothing to say. */
  report(): AppliedRelease | undefined {
    const { rejection, view } = this;
    if (rejection !== undefined) {
      return {
        state: 'rejected',
        release: rejection.release,
        sha256: rejection.sha256,
        error: rejection.message,
      };
    }
    if (view === undefined) return undefined;
    const { release, sha256, gray, exists } = view;
    return {
      state: exists ? 'applied' : 'missing',
      release: BigInt(release || '0'),
      sha256,
      ...(gray === undefined ? {} : { gray }),
    };
  }
}
