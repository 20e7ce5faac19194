import { etcdserverpb, ProtocolError } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import type { RequestParts } from './request-parts.js';

/** What etcd adds to key and value when it estimates the cost of a put, and the cost of a lease. */
const putOverheadBytes = 256;
const leaseBytes = 64;
/** An alarm that could not be proposed is proposed again after this time. */
const retryMs = 1_000;

/**
 * Refuses what would grow the store beyond its quota. The first refusal raises the NOSPACE alarm through the log, and
 * from then on every member refuses at apply, until space was freed and the alarm disarmed.
 */
export class SpaceQuota {
  private raising = false;

  constructor(
    private readonly parts: RequestParts,
    /** Whether the log has no room for its next segment, or the state for its next flush, as it was when last tried. */
    private readonly isDiskFull: () => boolean,
  ) {}

  /** @throws ProtocolError NoSpace */
  admitPut(keyAndValueBytes: number): void {
    this.admit(putOverheadBytes + keyAndValueBytes);
  }

  /** @throws ProtocolError NoSpace */
  admitTxn(request: etcdserverpb.TxnRequest): void {
    this.admit(txnCost(request));
  }

  /** @throws ProtocolError NoSpace */
  admitLease(): void {
    this.admit(leaseBytes);
  }

  /** Raises the alarm whatever the quota says: the disk itself has no room left. */
  raiseAlarm(): void {
    if (this.raising || this.parts.machine.cluster.isRaised(etcdserverpb.AlarmType.NOSPACE)) return;
    this.raising = true;
    const request = etcdserverpb.AlarmRequest.encode({
      action: etcdserverpb.AlarmRequest_AlarmAction.ACTIVATE,
      memberID: this.parts.identity.memberId,
      alarm: etcdserverpb.AlarmType.NOSPACE,
    }).finish();
    this.parts.replica.propose(CommandKind.Alarm, request, (error) => {
      this.raising = false;
      if (error !== undefined && error.reason !== 'Stopped') {
        this.parts.clock.after(retryMs, () => this.raiseAlarmIfFull());
      }
    });
  }

  /**
   * The log tells of a full disk once, so that its alarm must not be lost with a dropped proposal; but when there is room
   * by now an alarm would stop all writes for nothing. Refused writes and states that do not fit come again by themselves.
   */
  raiseAlarmIfFull(): void {
    if (this.isDiskFull()) this.raiseAlarm();
  }

  private admit(costBytes: number): void {
    if (costBytes === 0) return;
    const { cluster } = this.parts.machine;
    if (cluster.isRaised(etcdserverpb.AlarmType.NOSPACE)) {
      // What is refused for a graver reason is told that reason, when it is applied.
      if (cluster.isRaised(etcdserverpb.AlarmType.CORRUPT)) return;
      throw ProtocolError.of('NoSpace');
    }
    const { quotaBackendBytes } = this.parts.limits;
    if (quotaBackendBytes <= 0) return;
    if (this.parts.backend.spaceInUse + costBytes <= quotaBackendBytes) return;
    this.raiseAlarm();
    throw ProtocolError.of('NoSpace');
  }
}

function putCost(request: etcdserverpb.PutRequest): number {
  return putOverheadBytes + request.key.length + request.value.length;
}

function txnCost(request: etcdserverpb.TxnRequest): number {
  return Math.max(branchCost(request.success), branchCost(request.failure));
}

function branchCost(ops: readonly etcdserverpb.RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops) {
    if (request?.$case === 'request_put') cost += putCost(request.value);
    if (request?.$case === 'request_txn') cost += txnCost(request.value);
  }
  return cost;
}
