import { Buffer } from 'node:buffer';
import { etcdserverpb } from '@conclave/protocol';
import { assert } from '../platform/assert.js';
import type { Backend } from '../backend/backend.js';
import type { ConfState, MemberId } from '../raft/message.js';
import { decodeConfState, encodeConfState } from './conf-state-row.js';

const memberPrefix = 'member/';
const removedPrefix = 'removed/';
const alarmPrefix = 'alarm/';
const versionKey = 'clusterVersion';
const confStateKey = 'confState';
const noBytes = new Uint8Array(0);

/** An alarm that a member raised: it holds until somebody disarms it. */
export interface RaisedAlarm {
  readonly memberId: MemberId;
  readonly alarm: etcdserverpb.AlarmType;
}

/** A member as a new cluster begins with it. */
export interface FoundingRow {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
}

/**
 * What the members agreed on about themselves: who they are, who was one, the configuration, the cluster's version, the
 * alarms. Kept in table `meta` (`member/<id>`, `removed/<id>`, `confState`, `alarm/<id>/<kind>`, `clusterVersion`), with
 * a copy in memory.
 *
 * Invariant: an id that was removed never becomes a member again.
 */
export class ClusterState {
  private readonly memberById = new Map<MemberId, etcdserverpb.Member>();
  private readonly removedIds = new Set<MemberId>();
  private alarmList: RaisedAlarm[] = [];
  private versionText: string | undefined;
  private confStateHeld: ConfState | undefined;

  constructor(private readonly backend: Backend) {
    this.reload();
  }

  /** Writes the rows that a new cluster begins with. */
  static found(backend: Backend, members: readonly FoundingRow[], confState: ConfState): void {
    for (const { id, name, peerUrls } of members) {
      const row = etcdserverpb.Member.fromPartial({ ID: id, name, peerURLs: [...peerUrls] });
      backend.put('meta', memberKey(id), etcdserverpb.Member.encode(row).finish());
    }
    backend.put('meta', confStateKey, encodeConfState(confState));
  }

  /** The configuration at the applied mark; undefined in a store that never held one. @throws BackendError */
  static storedConfState(backend: Backend): ConfState | undefined {
    const row = backend.get('meta', confStateKey);
    return row === undefined ? undefined : decodeConfState(row);
  }

  /** Reads everything from the backend again, whose rows were replaced. @throws BackendError */
  reload(): void {
    const { backend } = this;
    this.memberById.clear();
    this.removedIds.clear();
    this.alarmList = [];
    backend.scan('meta', memberPrefix, `${memberPrefix}\xff`, {}, (_key, value) => {
      const member = etcdserverpb.Member.decode(Buffer.from(value));
      this.memberById.set(member.ID, member);
    });
    backend.scan('meta', removedPrefix, `${removedPrefix}\xff`, {}, (key) => {
      this.removedIds.add(BigInt(`0x${key.slice(removedPrefix.length)}`));
    });
    backend.scan('meta', alarmPrefix, `${alarmPrefix}\xff`, {}, (_key, value) => {
      const { memberID, alarm } = etcdserverpb.AlarmMember.decode(Buffer.from(value));
      this.alarmList.push({ memberId: memberID, alarm });
    });
    this.confStateHeld = ClusterState.storedConfState(backend);
    const version = backend.get('meta', versionKey);
    this.versionText = version === undefined ? undefined : Buffer.from(version).toString('utf8');
  }

  /** All members, ordered by id. */
  get members(): readonly etcdserverpb.Member[] {
    return [...this.memberById.values()].sort((a, b) => (a.ID < b.ID ? -1 : 1));
  }

  /** The number of members. */
  get size(): number {
    return this.memberById.size;
  }

  /** The configuration at the applied mark; undefined in a store that never held one. */
  get confState(): ConfState | undefined {
    return this.confStateHeld;
  }

  get alarms(): readonly RaisedAlarm[] {
    return this.alarmList;
  }

  /** Undefined until the first leader has set it. */
  get version(): string | undefined {
    return this.versionText;
  }

  isRaised(alarm: etcdserverpb.AlarmType): boolean {
    return this.alarmList.some((raised) => raised.alarm === alarm);
  }

  member(id: MemberId): etcdserverpb.Member | undefined {
    return this.memberById.get(id);
  }

  /** Whether this id belonged to a member that was removed; it stays so for ever. */
  wasRemoved(id: MemberId): boolean {
    return this.removedIds.has(id);
  }

  /** Adds the member or replaces what is known of it. */
  setMember(member: etcdserverpb.Member): void {
    assert(!this.removedIds.has(member.ID), 'a removed member does not come back under its id');
    this.memberById.set(member.ID, member);
    this.backend.put('meta', memberKey(member.ID), etcdserverpb.Member.encode(member).finish());
  }

  /** The member is gone, and its id is used up. */
  removeMember(id: MemberId): void {
    this.memberById.delete(id);
    this.removedIds.add(id);
    this.backend.delete('meta', memberKey(id));
    this.backend.put('meta', `${removedPrefix}${idText(id)}`, noBytes);
  }

  /** Written with the entry that changed it, so that it always is the configuration at the applied mark. */
  setConfState(confState: ConfState): void {
    this.confStateHeld = confState;
    this.backend.put('meta', confStateKey, encodeConfState(confState));
  }

  setVersion(version: string): void {
    this.versionText = version;
    this.backend.put('meta', versionKey, Buffer.from(version, 'utf8'));
  }

  /** False when it was raised already. */
  raise(raised: RaisedAlarm): boolean {
    if (this.find(raised) !== undefined) return false;
    this.alarmList.push(raised);
    const { memberId: memberID, alarm } = raised;
    this.backend.put('meta', alarmKey(raised), etcdserverpb.AlarmMember.encode({ memberID, alarm }).finish());
    return true;
  }

  /** False when there was nothing to disarm. */
  disarm(raised: RaisedAlarm): boolean {
    const found = this.find(raised);
    if (found === undefined) return false;
    this.alarmList = this.alarmList.filter((other) => other !== found);
    this.backend.delete('meta', alarmKey(raised));
    return true;
  }

  private find({ memberId, alarm }: RaisedAlarm): RaisedAlarm | undefined {
    return this.alarmList.find((other) => other.memberId === memberId && other.alarm === alarm);
  }
}

function memberKey(id: MemberId): string {
  return `${memberPrefix}${idText(id)}`;
}

function idText(id: MemberId): string {
  return id.toString(16).padStart(16, '0');
}

function alarmKey({ memberId, alarm }: RaisedAlarm): string {
  return `${alarmPrefix}${idText(memberId)}/${alarm}`;
}
