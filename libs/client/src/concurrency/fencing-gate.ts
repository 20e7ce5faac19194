import { FencedOffError } from '../errors.js';
import { type Fence } from './fence.js';

/**
 * Stands before a protected resource and remembers the highest token that it has let through, so that a holder of an older
 * one, who does not know yet that it is no longer the holder, can change nothing.
 */
export interface FencingGate<Tx> {
  /**
   * Runs the guarded writes. The first store whose token a resource sees is adopted.
   *
   * @throws FencedOffError (rejects) for a token lower than the highest one seen, or of another store than the adopted one;
   *   nothing was written then. What `fn` throws is passed on, and undoes what the gate can undo.
   */
  run<T>(resource: string, fence: Fence, fn: (transaction: Tx) => Promise<T>): Promise<T>;
  /**
   * The one store whose tokens count from now on, after a store was replaced on purpose. Forgets the highest token, unless
   * this store is the adopted one already.
   */
  adopt(resource: string, clusterId: bigint): Promise<void>;
}

/** @throws FencedOffError when a gate that remembers `seen` must not let this fence through. */
export function checkFence(resource: string, fence: Fence, seen: Fence): void {
  if (fence.clusterId !== seen.clusterId) {
    throw new FencedOffError(
      `'${resource}' belongs to tokens of cluster ${seen.clusterId.toString(16)}, this one is of cluster ` +
        `${fence.clusterId.toString(16)}: nothing was written; call gate.adopt() if the store was replaced on purpose`,
    );
  }
  if (fence.token < seen.token) {
    throw new FencedOffError(
      `'${resource}' has seen token ${seen.token}, this one is ${fence.token}: somebody else holds it, nothing was written`,
    );
  }
}

/**
 * A gate in the memory of this process: for tests, and for resources that live in it. One function per resource at a time,
 * so that none is overtaken by a later holder's. A token counts as seen even if its function throws, since what that did to
 * the memory is not undone.
 */
export function memoryFencingGate(): FencingGate<undefined> {
  const seen = new Map<string, Fence>();
  const busy = new Map<string, Promise<unknown>>();
  const inTurn = <T>(resource: string, run: () => Promise<T>): Promise<T> => {
    const turn = (busy.get(resource) ?? Promise.resolve()).then(run);
    const over: Promise<unknown> = turn
      .catch(() => undefined)
      .then(() => {
        if (busy.get(resource) === over) busy.delete(resource);
      });
    busy.set(resource, over);
    return turn;
  };
  return {
    run: (resource, fence, fn) =>
      inTurn(resource, () => {
        checkFence(resource, fence, seen.get(resource) ?? fence);
        seen.set(resource, fence);
        return fn(undefined);
      }),
    adopt: (resource, clusterId) =>
      inTurn(resource, () => {
        if (seen.get(resource)?.clusterId !== clusterId) seen.set(resource, { clusterId, token: 0n });
        return Promise.resolve();
      }),
  };
}
