import { etcdserverpb, type ProtocolErrorName } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryBackend } from '../backend/memory-backend.js';
import { Lessor } from '../lease/lessor.js';
import { MvccStore } from '../mvcc/mvcc-store.js';
import { type ApplyResult } from './apply-result.js';
import { CommandKind, encodeCommand, Proposer } from './command.js';
import { encodeCheckpoints, encodeExpiry } from './lease-payload.js';
import { StateMachine } from './state-machine.js';

const proposer = new Proposer(1n, 1n);

/** A state machine on a fresh store, fed with one command after the other. */
class Machine {
  readonly backend = new MemoryBackend();
  readonly store = MvccStore.open(this.backend);
  readonly lessor = Lessor.recover(this.backend);
  readonly machine = new StateMachine({ backend: this.backend, store: this.store, lessor: this.lessor });
  /** Slices that the last command took. */
  slices = 0;
  private index = 0;

  apply(kind: CommandKind, payload: Uint8Array, term = 1): ApplyResult {
    const entry = {
      index: ++this.index,
      term,
      kind: 'normal' as const,
      data: encodeCommand(kind, proposer, this.index, payload),
    };
    this.slices = 1;
    for (let result = this.machine.apply(entry); ; result = this.machine.apply(entry)) {
      if (result !== undefined) return result;
      this.slices++;
      expect(this.backend.applied.index).toBe(entry.index - 1);
    }
  }

  put(key: string, value = 'v', more: Partial<etcdserverpb.PutRequest> = {}): ApplyResult {
    const request = etcdserverpb.PutRequest.fromPartial({
      key: Buffer.from(key),
      value: Buffer.from(value),
      ...more,
    });
    return this.apply(CommandKind.Put, etcdserverpb.PutRequest.encode(request).finish());
  }

  grant(id: bigint): ApplyResult {
    return this.apply(
      CommandKind.LeaseGrant,
      etcdserverpb.LeaseGrantRequest.encode({ ID: id, TTL: 10n }).finish(),
    );
  }

  alarm(action: number, alarm: number): ApplyResult {
    return this.apply(
      CommandKind.Alarm,
      etcdserverpb.AlarmRequest.encode({ action, memberID: 1n, alarm }).finish(),
    );
  }

  keys(): string[] {
    return this.store.range({ bounds: { from: '', to: undefined, single: false } }).kvs.map((kv) => kv.key);
  }
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const reason = (result: ApplyResult): ProtocolErrorName | undefined => result.error?.reason;

describe('StateMachine', () => {
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });

  it('moves the applied mark with each entry, also with one that is refused or empty', () => {
    expect(machine.put('a').revision).toBe(2);
    expect(reason(machine.put('a', 'v', { lease: 7n }))).toBe('LeaseNotFound');
    expect(machine.backend.applied).toEqual({ index: 2, term: 1 });
    expect(machine.store.currentRevision).toBe(2);
    machine.machine.apply({ index: 3, term: 2, kind: 'normal', data: new Uint8Array() });
    expect(machine.backend.applied).toEqual({ index: 3, term: 2 });
  });

  it('refuses an entry out of order, and stops at one that it cannot read', () => {
    const data = encodeCommand(CommandKind.Put, proposer, 1, new Uint8Array());
    expect(() => machine.machine.apply({ index: 2, term: 1, kind: 'normal', data })).toThrow(
      'entry 2 follows 0',
    );
    expect(() =>
      machine.machine.apply({ index: 1, term: 1, kind: 'normal', data: new Uint8Array(3) }),
    ).toThrow('shorter');
  });

  it('deletes the keys of a revoked lease in one revision and tells who waited', () => {
    machine.grant(7n);
    machine.put('b', 'v', { lease: 7n });
    machine.put('a', 'v', { lease: 7n });
    machine.put('c', 'v', { lease: 7n });
    machine.put('c', 'v');
    let revoked = 0;
    machine.machine.whenRevoked(7n, () => revoked++);
    const changed: string[] = [];
    machine.machine.onChanges = (set) => changed.push(...set.changes.map((change) => change.key));
    const result = machine.apply(
      CommandKind.LeaseRevoke,
      etcdserverpb.LeaseRevokeRequest.encode({ ID: 7n }).finish(),
    );
    expect(result.revision).toBe(6);
    expect(changed).toEqual(['a', 'b']);
    expect([machine.keys(), revoked]).toEqual([['c'], 1]);
    machine.machine.whenRevoked(7n, () => revoked++);
    expect(revoked).toBe(2);
  });

  it('lets an expiry count only in the term in which the clock ran out', () => {
    machine.grant(7n);
    machine.put('a', 'v', { lease: 7n });
    machine.apply(CommandKind.LeaseExpire, encodeExpiry({ term: 1, appliedIndex: 9 }, 7n), 2);
    expect(machine.keys()).toEqual(['a']);
    machine.apply(CommandKind.LeaseExpire, encodeExpiry({ term: 2, appliedIndex: 9 }, 7n), 2);
    expect(machine.keys()).toEqual([]);
    expect(
      reason(machine.apply(CommandKind.LeaseExpire, encodeExpiry({ term: 2, appliedIndex: 9 }, 7n), 2)),
    ).toBeUndefined();
  });

  it('lets what a clock said of a lease count for no later lease of the same id', () => {
    const { lessor } = machine;
    machine.grant(7n);
    const known = { term: 1, appliedIndex: machine.backend.applied.index };
    machine.apply(CommandKind.LeaseRevoke, etcdserverpb.LeaseRevokeRequest.encode({ ID: 7n }).finish());
    machine.grant(7n);
    machine.put('a', 'v', { lease: 7n });
    const remainders = [{ id: 7n, remainingSeconds: 3 }];
    machine.apply(CommandKind.LeaseCheckpoint, encodeCheckpoints(known, remainders));
    machine.apply(CommandKind.LeaseExpire, encodeExpiry(known, 7n));
    expect([machine.keys(), lessor.get(7n)?.checkpointSeconds]).toEqual([['a'], undefined]);
    lessor.reload();
    machine.apply(CommandKind.LeaseExpire, encodeExpiry(known, 7n));
    expect(machine.keys()).toEqual(['a']);
    const now = { term: 1, appliedIndex: machine.backend.applied.index };
    machine.apply(CommandKind.LeaseCheckpoint, encodeCheckpoints(now, remainders));
    expect(lessor.get(7n)?.checkpointSeconds).toBe(3);
    machine.apply(CommandKind.LeaseExpire, encodeExpiry(now, 7n));
    expect(machine.keys()).toEqual([]);
  });

  it('takes what earlier versions wrote of leases, which name no entry', () => {
    machine.grant(7n);
    machine.put('a', 'v', { lease: 7n });
    const checkpoint = Buffer.concat([u64(1n), u64(7n), u64(4n)]);
    machine.apply(CommandKind.LeaseCheckpoint, checkpoint);
    expect(machine.lessor.get(7n)?.checkpointSeconds).toBe(4);
    machine.apply(CommandKind.LeaseExpire, Buffer.concat([u64(1n), u64(7n)]));
    expect(machine.keys()).toEqual([]);
  });

  it('applies a huge delete in slices, as one revision, at the boundary of its entry', () => {
    for (let first = 0; first < 2_500; first++) machine.put(`k/${String(first).padStart(5, '0')}`);
    const before = machine.store.currentRevision;
    const request = etcdserverpb.DeleteRangeRequest.fromPartial({
      key: Buffer.from('k/'),
      range_end: Buffer.from('k0'),
    });
    const result = machine.apply(
      CommandKind.DeleteRange,
      etcdserverpb.DeleteRangeRequest.encode(request).finish(),
    );
    expect(machine.slices).toBeGreaterThan(2);
    expect(result.revision).toBe(before + 1);
    expect(machine.keys()).toEqual([]);
  });

  it('refuses writes that grow under a NOSPACE alarm until it is disarmed, and everything under CORRUPT', () => {
    const { ACTIVATE, DEACTIVATE } = etcdserverpb.AlarmRequest_AlarmAction;
    const { NOSPACE, CORRUPT } = etcdserverpb.AlarmType;
    machine.put('a');
    machine.alarm(ACTIVATE, NOSPACE);
    const remove = etcdserverpb.DeleteRangeRequest.encode(
      etcdserverpb.DeleteRangeRequest.fromPartial({ key: Buffer.from('a') }),
    ).finish();
    expect([reason(machine.put('b')), reason(machine.grant(1n))]).toEqual(['NoSpace', 'NoSpace']);
    expect(reason(machine.apply(CommandKind.DeleteRange, remove))).toBeUndefined();
    machine.alarm(DEACTIVATE, NOSPACE);
    expect(reason(machine.put('b'))).toBeUndefined();
    machine.alarm(ACTIVATE, CORRUPT);
    expect(reason(machine.apply(CommandKind.DeleteRange, remove))).toBe('Corrupt');
  });

  it('keeps members, alarms and the version over a reopening of its store', () => {
    const member = etcdserverpb.Member.fromPartial({ ID: 5n, name: 'm', clientURLs: ['http://127.0.0.1:1'] });
    machine.apply(CommandKind.MemberAttributes, etcdserverpb.Member.encode(member).finish());
    machine.apply(CommandKind.ClusterVersion, Buffer.from('3.6.0'));
    machine.alarm(etcdserverpb.AlarmRequest_AlarmAction.ACTIVATE, etcdserverpb.AlarmType.NOSPACE);
    const { backend } = machine;
    const parts = { backend, store: MvccStore.open(backend), lessor: Lessor.recover(backend) };
    const { cluster } = new StateMachine(parts);
    expect(cluster.members).toEqual([member]);
    expect(cluster.version).toBe('3.6.0');
    expect(cluster.isRaised(etcdserverpb.AlarmType.NOSPACE)).toBe(true);
  });
});
