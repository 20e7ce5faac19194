import { etcdserverpb } from '@conclave/protocol';
import { type Request } from '../clients/invocation.js';
import * as requests from '../clients/requests.js';

const { DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, TxnRequest } =
  etcdserverpb;

/**
 * What the production client sends, as a request whose answer can be judged. A grant that leaves the id to the server gets `leaseId`:
 * in the log it must be seen whose it is.
 */
export function sdkRequest(
  path: string,
  bytes: Uint8Array,
  leaseId: (ttlSeconds: bigint) => bigint,
): Request {
  switch (path) {
    case '/etcdserverpb.KV/Range':
      return requests.rangeRequest(RangeRequest.decode(bytes));
    case '/etcdserverpb.KV/Put':
      return requests.putRequest(PutRequest.decode(bytes));
    case '/etcdserverpb.KV/DeleteRange':
      return requests.deleteRequest(DeleteRangeRequest.decode(bytes));
    case '/etcdserverpb.KV/Txn': {
      const txn = TxnRequest.decode(bytes);
      return onlyReads(txn) ? requests.readTxnRequest(txn) : requests.txnRequest(txn);
    }
    case '/etcdserverpb.Lease/LeaseGrant': {
      const { ID, TTL } = LeaseGrantRequest.decode(bytes);
      return requests.grantRequest(ID === 0n ? leaseId(TTL) : ID, TTL);
    }
    case '/etcdserverpb.Lease/LeaseRevoke':
      return requests.revokeRequest(LeaseRevokeRequest.decode(bytes).ID);
    case '/etcdserverpb.Maintenance/Status':
      return requests.statusRequest();
    default:
      throw new Error(`the production client calls ${path}, which nobody judges here`);
  }
}

function onlyReads({ success, failure }: etcdserverpb.TxnRequest): boolean {
  return [...success, ...failure].every(({ request: op }) =>
    op?.$case === 'request_txn' ? onlyReads(op.value) : op?.$case === 'request_range',
  );
}
