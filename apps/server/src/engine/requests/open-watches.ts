import type { ProtocolError } from '@conclave/protocol';

/** A stream of watchers that a caller has open. */
export interface OpenWatch {
  end(error: ProtocolError): void;
}

/** All streams of watchers, so that they can be ended when this member must not serve them any more. */
export class OpenWatches {
  private readonly open = new Set<OpenWatch>();

  add(watch: OpenWatch): void {
    this.open.add(watch);
  }

  remove(watch: OpenWatch): void {
    this.open.delete(watch);
  }

  /** Ends all; their callers go on where they were, at another member. */
  endAll(error: ProtocolError): void {
    for (const watch of [...this.open]) watch.end(error);
  }
}
