import { etcdserverpb } from '@conclave/protocol';
import {
  CommandKind,
  decodeCommand,
  type Command as StoredCommand,
} from '../../../apps/server/src/engine/apply/command.js';
import { type Entry } from '../../../apps/server/src/engine/raft/message.js';
import { type Command } from '../model/model.js';
import { deleteResponseText, putResponseText, txnResponseText } from '../model/texts.js';

export { CommandKind, decodeCommand };

/** A stored command in the model's terms. */
export function modelCommand(
  { kind, payload }: StoredCommand,
  { term, index }: Pick<Entry, 'term' | 'index'>,
): Command {
  switch (kind) {
    case CommandKind.Put:
      return { kind: 'put', request: etcdserverpb.PutRequest.decode(payload) };
    case CommandKind.DeleteRange:
      return { kind: 'delete', request: etcdserverpb.DeleteRangeRequest.decode(payload) };
    case CommandKind.Txn:
      return { kind: 'txn', request: etcdserverpb.TxnRequest.decode(payload) };
    case CommandKind.Compact:
      return { kind: 'compact', revision: etcdserverpb.CompactionRequest.decode(payload).revision };
    case CommandKind.LeaseGrant: {
      const { ID, TTL } = etcdserverpb.LeaseGrantRequest.decode(payload);
      return { kind: 'grant', id: ID, ttl: TTL, index };
    }
    case CommandKind.LeaseRevoke:
      return { kind: 'revoke', id: etcdserverpb.LeaseRevokeRequest.decode(payload).ID };
    case CommandKind.LeaseExpire:
      return {
        kind: 'expire',
        id: payload.readBigInt64BE(16),
        decidedAt: Number(payload.readBigUInt64BE(8)),
        isOfThisTerm: payload.readBigUInt64BE(0) === BigInt(term),
      };
    case CommandKind.Alarm:
      return { kind: 'alarm', request: etcdserverpb.AlarmRequest.decode(payload) };
    default:
      return { kind: 'other' };
  }
}

/** What a response to a command says, as the model says it. The bytes may lack their header. */
export function responseText(kind: CommandKind, bytes: Uint8Array): string {
  switch (kind) {
    case CommandKind.Put:
      return putResponseText(etcdserverpb.PutResponse.decode(bytes));
    case CommandKind.DeleteRange:
      return deleteResponseText(etcdserverpb.DeleteRangeResponse.decode(bytes));
    case CommandKind.Txn:
      return txnResponseText(etcdserverpb.TxnResponse.decode(bytes));
    case CommandKind.LeaseGrant: {
      const { ID, TTL } = etcdserverpb.LeaseGrantResponse.decode(bytes);
      return `lease ${ID} for ${TTL}`;
    }
    default:
      return '';
  }
}
