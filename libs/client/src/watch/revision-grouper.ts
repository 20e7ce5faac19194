import { type mvccpb } from '@conclave/protocol';

/**
 * Puts events together by revision. A revision is complete when an event of another one follows, or when a response
 * ends that is not the fragment of a longer one; only complete revisions are given out.
 *
 * Invariant: all held events have the revision `revision`; there are none between responses that are no fragments.
 */
export class RevisionGrouper {
  private revision = 0n;
  private held: mvccpb.Event[] = [];

  /** True while the last response was a fragment whose last revision may go on in the next one. */
  get isInside(): boolean {
    return this.held.length > 0;
  }

  /** Takes the events of one response, in their order. */
  push(
    events: readonly mvccpb.Event[],
    fragment: boolean,
    deliver: (revision: bigint, events: readonly mvccpb.Event[]) => void,
  ): void {
    for (const event of events) {
      const revision = event.kv?.mod_revision ?? 0n;
      if (revision !== this.revision) this.flush(deliver);
      this.revision = revision;
      this.held.push(event);
    }
    if (!fragment) this.flush(deliver);
  }

  /** Forgets an unfinished revision: its stream is gone, and the next one delivers the whole revision again. */
  reset(): void {
    this.held = [];
    this.revision = 0n;
  }

  private flush(deliver: (revision: bigint, events: readonly mvccpb.Event[]) => void): void {
    if (this.held.length === 0) return;
    const events = this.held;
    this.held = [];
    deliver(this.revision, events);
  }
}
