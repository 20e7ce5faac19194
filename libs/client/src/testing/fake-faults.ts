/** The calls of a store, as faults name them. */
export type Method =
  | 'range'
  | 'put'
  | 'deleteRange'
  | 'txn'
  | 'compact'
  | 'leaseGrant'
  | 'leaseRevoke'
  | 'leaseTimeToLive'
  | 'leaseLeases';

/** A fault for the next calls of one method. */
export interface Fault {
  readonly kind: 'drop-answer' | 'refuse' | 'hold' | 'delay';
  left: number;
  /** Only calls for which this is true. */
  readonly when: (request: unknown) => boolean;
  readonly held: Promise<void> | undefined;
}

/** What is to go wrong with which calls; each fault is used up in the order in which it was planned. */
export class FaultPlan {
  private readonly byMethod = new Map<Method, Fault[]>();

  add(method: Method, fault: Fault): void {
    this.byMethod.set(method, [...(this.byMethod.get(method) ?? []), fault]);
  }

  /** A fault that lasts until the returned function is called. */
  hold(kind: 'hold' | 'delay', method: Method, when: (request: unknown) => boolean): () => void {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.add(method, { kind, left: 1, when, held });
    return release;
  }

  /** The fault of this call, if there is one. */
  take(method: Method, request: unknown): Fault | undefined {
    const list = this.byMethod.get(method) ?? [];
    const fault = list.find((candidate) => candidate.left > 0 && candidate.when(request));
    if (fault !== undefined) fault.left -= 1;
    return fault;
  }
}
