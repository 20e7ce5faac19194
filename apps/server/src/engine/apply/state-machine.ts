import { type Buffer } from 'node:buffer';
import { etcdserverpb, ProtocolError, PutFields, WireWriter } from '@conclave/protocol';
import type { Backend } from '../backend/backend.js';
import type { Lessor } from '../lease/lessor.js';
import { type ChangeSet, type MvccStore } from '../mvcc/mvcc-store.js';
import { assert } from '../platform/assert.js';
import { type ConfChange, decodeConfChange } from '../raft/confchange/conf-change.js';
import type { ConfState, Entry } from '../raft/message.js';
import { emptyBody, type ApplyResult } from './apply-result.js';
import { Chains, type Integrity } from './chains.js';
import { ClusterState } from './cluster-state.js';
import {
  CommandFormatError,
  commandHeaderBytes,
  CommandKind,
  commandKind,
  commandPayload,
} from './command.js';
import { KvMachine, type KvEffect, type Slices } from './kv-machine.js';
import { decodeCheckpoints, decodeExpiry } from './lease-payload.js';
import { Membership } from './membership.js';

/** What the state machine works on. */
export interface StateMachineParts {
  readonly backend: Backend;
  readonly store: MvccStore;
  readonly lessor: Lessor;
}

/**
 * The replicated state machine: a committed entry in, its effect on the store and its result out. A pure function of
 * (state, entry), with no clock, chance or local setting in it, so that every member comes to the same state and the
 * same result at the same index.
 *
 * Invariants: entries come in order, each index once; everything that an entry changes lies in the same backend
 * boundary as its applied mark, so that after a crash an entry is applied whole or not at all, and never twice.
 */
export class StateMachine {
  readonly cluster: ClusterState;
  readonly membership: Membership;
  readonly kv: KvMachine;
  readonly chains: Chains;
  /** Called with the changes of each revision, before the proposer is answered. */
  onChanges: ((changes: ChangeSet) => void) | undefined;
  /** Called with every entry and its result, before anybody else learns of them. */
  onApplied: ((entry: Entry, result: ApplyResult) => void) | undefined;
  /** Called when a compaction was applied; its work is still to be done, in slices. */
  onCompacted: (() => void) | undefined;
  /**
   * Tells the core of a config entry, exactly once for each, with undefined when it is refused and nothing changes;
   * returns the configuration that holds from now on.
   */
  onConfChange: ((change: ConfChange | undefined, index: number) => ConfState) | undefined;
  /** Called after the members or what is known of them changed. */
  onMembers: (() => void) | undefined;
  private readonly putFields = new PutFields();
  /** The long command that is being applied, between two slices. */
  private running: Slices<KvEffect> | undefined;
  private readonly revokeListeners = new Map<bigint, (() => void)[]>();
  /** A member that is alone has nobody to compare its chains with, and does not pay for them. */
  private isChained: boolean;

  constructor(private readonly parts: StateMachineParts) {
    this.cluster = new ClusterState(parts.backend);
    this.membership = new Membership(this.cluster);
    this.kv = new KvMachine(parts.store, parts.lessor);
    this.chains = new Chains(parts.backend);
    this.isChained = this.cluster.size > 1;
  }

  /**
   * Applies the next committed entry, or one slice of it: undefined means that there is more to do, and that the same
   * entry must be given again before any other.
   */
  apply(entry: Entry): ApplyResult | undefined {
    const { backend } = this.parts;
    const { index } = backend.applied;
    if (entry.index !== index + 1) assert(false, `entry ${entry.index} follows ${index}`);
    const effect = this.advance(entry);
    if (effect === undefined) return undefined;
    if (this.isChained) this.chains.fold(entry, effect.result);
    backend.setApplied({ index: entry.index, term: entry.term });
    this.onApplied?.(entry, effect.result);
    if (effect.changes !== undefined && effect.changes.count > 0) this.onChanges?.(effect.changes);
    return effect.result;
  }

  /**
   * Does a slice of what a compaction left to do, and ends a backend boundary with it, so that it becomes durable
   * without waiting for a further entry; inside an entry that is applied in slices, that entry's end is the boundary.
   */
  compactSlice(rows: number): void {
    const { backend, store } = this.parts;
    store.compactSlice(rows);
    if (this.running === undefined) backend.setApplied(backend.applied);
  }

  /** Notes what the comparison with the other members said of this one; between two entries. */
  judge(integrity: Integrity): void {
    const { backend } = this.parts;
    this.chains.judge(integrity);
    if (this.running === undefined) backend.setApplied(backend.applied);
  }

  /** Index of the last entry that was applied in full. */
  get appliedIndex(): number {
    return this.parts.backend.applied.index;
  }

  /** An entry is half applied: it must be given again before anything else happens to the store. */
  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Everything in memory is read anew: the rows of the backend were replaced by those of a later state. */
  reload(): void {
    assert(this.running === undefined, 'no entry is half applied');
    const { store, lessor } = this.parts;
    store.reload();
    lessor.reload();
    this.cluster.reload();
    this.chains.reload();
    this.isChained = this.cluster.size > 1;
    for (const [id, listeners] of [...this.revokeListeners]) {
      if (lessor.has(id)) continue;
      this.revokeListeners.delete(id);
      for (const listener of listeners) listener();
    }
    this.onMembers?.();
  }

  /** Calls back once the lease is gone, at once when it is gone already. */
  whenRevoked(id: bigint, callback: () => void): void {
    if (!this.parts.lessor.has(id)) return callback();
    const listeners = this.revokeListeners.get(id) ?? [];
    listeners.push(callback);
    this.revokeListeners.set(id, listeners);
  }

  /** A command that is refused changes nothing; only errors of the contract are results, all others stop the member. */
  private advance(entry: Entry): KvEffect | undefined {
    if (entry.data.length === 0) return this.nothing();
    if (entry.kind === 'config') return this.configure(entry);
    try {
      const running = this.running ?? this.begin(entry);
      if (!isSlices(running)) return running;
      const step = running.next();
      this.running = step.done === true ? undefined : running;
      return step.done === true ? step.value : undefined;
    } catch (error) {
      this.running = undefined;
      if (!(error instanceof ProtocolError)) throw error;
      return this.refusal(error);
    }
  }

  private configure(entry: Entry): KvEffect {
    const { onConfChange } = this;
    assert(onConfChange !== undefined, 'somebody tells the core of changes of the configuration');
    const change = decodeConfChange(entry.data);
    try {
      this.membership.checkEntry(change);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      onConfChange(undefined, entry.index);
      return this.refusal(error);
    }
    const confState = onConfChange(change, entry.index);
    const body = this.membership.perform(change, confState);
    this.cluster.setConfState(confState);
    this.isChained = this.cluster.size > 1;
    this.onMembers?.();
    return this.answer(body);
  }

  private begin(entry: Entry): KvEffect | Slices<KvEffect> {
    const kind = commandKind(entry.data);
    this.refuseUnderAlarm(kind, entry.data);
    if (kind === CommandKind.Put) return this.kv.put(this.putFields.read(entry.data, commandHeaderBytes));
    return this.run(kind, commandPayload(entry.data), entry);
  }

  private run(
    kind: Exclude<CommandKind, CommandKind.Put>,
    payload: Buffer,
    { index, term }: Entry,
  ): KvEffect | Slices<KvEffect> {
    switch (kind) {
      case CommandKind.DeleteRange:
        return this.kv.deleteRange(etcdserverpb.DeleteRangeRequest.decode(payload));
      case CommandKind.Txn:
        return this.kv.txn(etcdserverpb.TxnRequest.decode(payload));
      case CommandKind.Compact:
        return this.compact(etcdserverpb.CompactionRequest.decode(payload));
      case CommandKind.LeaseGrant:
        return this.grant(etcdserverpb.LeaseGrantRequest.decode(payload), index);
      case CommandKind.LeaseRevoke:
        return this.revoke(etcdserverpb.LeaseRevokeRequest.decode(payload).ID);
      case CommandKind.LeaseExpire:
        return this.expire(payload, term);
      case CommandKind.Alarm:
        return this.alarm(etcdserverpb.AlarmRequest.decode(payload));
      case CommandKind.MemberAttributes:
        this.membership.publish(etcdserverpb.Member.decode(payload));
        return this.nothing();
      case CommandKind.MemberUpdate:
        return this.updateMember(etcdserverpb.MemberUpdateRequest.decode(payload));
      case CommandKind.LeaseCheckpoint:
        return this.checkpoint(payload, term);
      case CommandKind.MemberAdd:
      case CommandKind.MemberRemove:
      case CommandKind.MemberPromote:
      case CommandKind.MembersChange:
        throw new CommandFormatError(
          `a normal log entry has the kind of a config entry, ${CommandKind[kind]}`,
        );
      case CommandKind.ClusterVersion:
        this.cluster.setVersion(payload.toString('utf8'));
        return this.nothing();
    }
  }

  private compact({ revision }: etcdserverpb.CompactionRequest): KvEffect {
    const clamped = revision > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(revision);
    this.parts.store.compact(clamped);
    this.onCompacted?.();
    return this.nothing();
  }

  private grant({ ID, TTL }: etcdserverpb.LeaseGrantRequest, index: number): KvEffect {
    this.parts.lessor.grant(ID, Number(TTL), index);
    return this.answer(new WireWriter(24).bigint(2, ID).bigint(3, TTL).take());
  }

  private *revoke(id: bigint): Slices<KvEffect> {
    const effect = yield* this.kv.deleteKeys(this.parts.lessor.revoke(id));
    const listeners = this.revokeListeners.get(id) ?? [];
    this.revokeListeners.delete(id);
    for (const listener of listeners) listener();
    return effect;
  }

  /**
   * An expiry counts only in the term of the leader whose clock ran out: a later leader may have renewed the lease. And
   * only for the lease that this leader had: another one may have got the id since.
   */
  private expire(payload: Buffer, entryTerm: number): KvEffect | Slices<KvEffect> {
    const { term, appliedIndex, id } = decodeExpiry(payload);
    if (term !== entryTerm || !this.parts.lessor.existedAt(id, appliedIndex)) return this.nothing();
    return this.revoke(id);
  }

  /** What leases have left is the word of the leader whose clocks run, of its term, and about the leases that it had. */
  private checkpoint(payload: Buffer, entryTerm: number): KvEffect {
    const { lessor } = this.parts;
    const { term, appliedIndex, leases } = decodeCheckpoints(payload);
    if (term !== entryTerm) return this.nothing();
    for (const { id, remainingSeconds } of leases) {
      if (lessor.existedAt(id, appliedIndex)) lessor.checkpoint(id, remainingSeconds);
    }
    return this.nothing();
  }

  private updateMember(request: etcdserverpb.MemberUpdateRequest): KvEffect {
    const body = this.membership.update(request);
    this.onMembers?.();
    return this.answer(body);
  }

  private alarm({ action, memberID, alarm }: etcdserverpb.AlarmRequest): KvEffect {
    const raised = { memberId: memberID, alarm };
    const changed = this.changeAlarm(action, raised);
    const body = new WireWriter();
    if (changed) body.message(2, etcdserverpb.AlarmMember.encode({ memberID, alarm }).finish());
    return this.answer(body.take());
  }

  private changeAlarm(
    action: etcdserverpb.AlarmRequest_AlarmAction,
    raised: { readonly memberId: bigint; readonly alarm: etcdserverpb.AlarmType },
  ): boolean {
    const { AlarmRequest_AlarmAction: Action } = etcdserverpb;
    if (raised.alarm === etcdserverpb.AlarmType.NONE) return false;
    if (action === Action.ACTIVATE) {
      this.cluster.raise(raised);
      return true;
    }
    return action === Action.DEACTIVATE && this.cluster.disarm(raised);
  }

  /** @throws ProtocolError Corrupt, NoSpace */
  private refuseUnderAlarm(kind: CommandKind, data: Uint8Array): void {
    if (this.cluster.alarms.length === 0 || kind >= CommandKind.Alarm) return;
    if (this.cluster.isRaised(etcdserverpb.AlarmType.CORRUPT)) throw ProtocolError.of('Corrupt');
    if (this.cluster.isRaised(etcdserverpb.AlarmType.NOSPACE) && mayGrow(kind, data))
      throw ProtocolError.of('NoSpace');
  }

  private refusal(error: ProtocolError): KvEffect {
    const revision = this.parts.store.currentRevision;
    return { result: { error, revision, body: emptyBody }, changes: undefined };
  }

  private nothing(): KvEffect {
    return this.answer(emptyBody);
  }

  private answer(body: Uint8Array): KvEffect {
    return {
      result: { error: undefined, revision: this.parts.store.currentRevision, body },
      changes: undefined,
    };
  }
}

function isSlices(effect: KvEffect | Slices<KvEffect>): effect is Slices<KvEffect> {
  return 'next' in effect;
}

/** True for commands that take space: under a NOSPACE alarm reads, deletes, revokes and compaction go on. */
function mayGrow(kind: CommandKind, data: Uint8Array): boolean {
  switch (kind) {
    case CommandKind.Put:
    case CommandKind.LeaseGrant:
      return true;
    case CommandKind.Txn:
      return hasPut(etcdserverpb.TxnRequest.decode(commandPayload(data)));
    default:
      return false;
  }
}

function hasPut(txn: etcdserverpb.TxnRequest): boolean {
  return [...txn.success, ...txn.failure].some(
    ({ request }) =>
      request?.$case === 'request_put' || (request?.$case === 'request_txn' && hasPut(request.value)),
  );
}
