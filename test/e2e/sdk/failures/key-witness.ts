import { type ConclaveClient } from '@conclave/client';
import { delay } from '../../../robustness/traffic/within.js';
import { monotonicMs } from '../../../robustness/mutual-exclusion/monotonic.js';

/**
 * Reads a key again and again, past everything that the test breaks. The life of the key ends between `presentAt`, when the
 * last read was sent that found it, and `goneAt`, when the first answer came that did not.
 */
export class KeyWitness {
  presentAt = -Infinity;
  readonly goneAt: Promise<number>;
  private isOver = false;

  /** @param client Of its own, with a way to the store that stays. */
  constructor(
    private readonly client: ConclaveClient,
    private readonly key: string,
  ) {
    this.goneAt = this.watch();
    this.goneAt.catch(() => undefined);
  }

  stop(): void {
    this.isOver = true;
  }

  private async watch(): Promise<number> {
    while (!this.isOver) {
      const sentAt = monotonicMs();
      const entry = await this.client.kv.get(this.key, { timeoutMs: 30_000 });
      if (entry === null) return monotonicMs();
      this.presentAt = sentAt;
      await delay(5);
    }
    throw new Error(`${this.key} was there until the end`);
  }
}
