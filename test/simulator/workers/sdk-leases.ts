import { etcdserverpb } from '@conclave/protocol';
import { type CommittedLog } from '../checks/committed-log.js';
import { type LeaseCheck } from '../checks/lease-check.js';
import { type LeaseBook } from '../clients/lease-client.js';
import { Violation } from '../world/violation.js';

/** A renewal that is on its way. */
export interface Renewal {
  readonly id: bigint;
  /** True time. */
  readonly sentAt: number;
  /** What was known to have taken effect when it was sent. */
  readonly floor: number;
}

/** The ids of workers' leases begin there; nobody else's are as great. */
const firstId = 0x7000_0000_0000n;

/** The leases of production clients: E1, E4 and E6 hold for them as for all others. */
export class SdkLeases {
  private count = 0n;

  constructor(
    private readonly book: LeaseBook,
    private readonly check: LeaseCheck,
    private readonly log: CommittedLog,
  ) {}

  /** The id of the next lease: what the server would choose. */
  name(ttlSeconds: bigint): bigint {
    const id = firstId + ++this.count;
    this.book.addOwned(id, ttlSeconds);
    return id;
  }

  granted(response: Uint8Array, sentAt: number): void {
    this.check.acknowledged(etcdserverpb.LeaseGrantResponse.decode(response).ID, sentAt);
  }

  /** A renewal reaches a member. */
  arrives(id: bigint): void {
    this.check.renewing(id);
  }

  renewed({ id, sentAt, floor }: Renewal, ttl: bigint): void {
    const state = ttl > 0n ? 'alive' : 'gone';
    if (ttl > 0n && ttl !== this.book.ttlOf(id)) {
      throw new Violation('E6', `lease ${id} of ${this.book.ttlOf(id)} s was renewed for ${ttl} s`);
    }
    if (!this.log.leaseWas(id, state, floor, this.log.last)) {
      throw new Violation(
        'E4',
        `a renewal says that lease ${id} is ${state}, and it never was during the call`,
      );
    }
    if (ttl > 0n) this.check.acknowledged(id, sentAt);
  }
}
