import { afterEach } from 'vitest';
import { type Disk } from '../platform/disk.js';
import { type Backend } from './backend.js';

/** How the contracts get hold of one implementation. */
export interface BackendHarness {
  readonly backend: Backend;
  /** Lets every flush that was started become durable. */
  settle(): Promise<void>;
  /** Ends the backend without a flush and opens what is left. */
  reopen(): Promise<Backend>;
  /** Another backend of the same kind, new, which is disposed of with this one. */
  another(): Promise<BackendHarness>;
  /** An existing directory for state files, which all of one kind can read, and its disk. */
  readonly spool: string;
  readonly disk: Disk;
  dispose(): Promise<void>;
}

/** A backend whose generations close after `rowsMax` rows. */
export type HarnessMaker = (rowsMax: number) => Promise<BackendHarness>;

/** Makes what `make` makes, and disposes of it after the test. Called within a `describe`. */
export function disposeAfterEach(make: HarnessMaker): HarnessMaker {
  const harnesses: BackendHarness[] = [];
  afterEach(async () => {
    for (const harness of harnesses.splice(0)) await harness.dispose();
  });
  return async (rowsMax) => {
    const harness = await make(rowsMax);
    harnesses.push(harness);
    return harness;
  };
}
