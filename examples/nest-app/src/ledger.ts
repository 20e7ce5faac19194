import { type Fence, memoryFencingGate } from '@conclave/client';
import { Injectable } from '@nestjs/common';

/** What the lock protects. A table of a database takes `sqlFencingGate` in place of this one. */
@Injectable()
export class Ledger {
  paid = 0;
  private readonly gate = memoryFencingGate();

  /** Refuses a token lower than the last one of this invoice: FencedOffError. */
  write(invoice: string, fence: Fence): Promise<void> {
    return this.gate.run(`invoice/${invoice}`, fence, async () => {
      this.paid += 1;
      await Promise.resolve();
    });
  }
}
