import { etcdserverpb } from '@conclave/protocol';
import type { Backend } from '../backend/backend.js';
import type { MemberId } from '../raft/message.js';

const memberPrefix = 'member/';
const alarmPrefix = 'alarm/';
const versionKey = 'clusterVersion';

/** An alarm that a member raised: it holds until somebody disarms it. */
export interface RaisedAlarm {
  readonly memberId: MemberId;
  readonly alarm: etcdserverpb.AlarmType;
}

/**
 * What the members agreed on about themselves: who they are, the cluster's version, the alarms. Kept in table `meta`
 * (`member/<id>`, `alarm/<id>/<kind>`, `clusterVersion`), with a copy in memory.
 */
export class ClusterState {
  private readonly memberById = new Map<MemberId, etcdserverpb.Member>();
  private alarmList: RaisedAlarm[] = [];
  private versionText: string | undefined;

  constructor(private readonly backend: Backend) {
    backend.scan('meta', memberPrefix, `${memberPrefix}\xff`, {}, (_key, value) => {
      const member = etcdserverpb.Member.decode(Buffer.from(value));
      this.memberById.set(member.ID, member);
    });
    backend.scan('meta', alarmPrefix, `${alarmPrefix}\xff`, {}, (_key, value) => {
      const { memberID, alarm } = etcdserverpb.AlarmMember.decode(Buffer.from(value));
      this.alarmList.push({ memberId: memberID, alarm });
    });
    const version = backend.get('meta', versionKey);
    if (version !== undefined) this.versionText = Buffer.from(version).toString('utf8');
  }

  /** All members, ordered by id. */
  get members(): readonly etcdserverpb.Member[] {
    return [...this.memberById.values()].sort((a, b) => (a.ID < b.ID ? -1 : 1));
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

  /** Adds the member or replaces what is known of it. */
  setMember(member: etcdserverpb.Member): void {
    this.memberById.set(member.ID, member);
    this.backend.put(
      'meta',
      `${memberPrefix}${idText(member.ID)}`,
      etcdserverpb.Member.encode(member).finish(),
    );
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

function idText(id: MemberId): string {
  return id.toString(16).padStart(16, '0');
}

function alarmKey({ memberId, alarm }: RaisedAlarm): string {
  return `${alarmPrefix}${idText(memberId)}/${alarm}`;
}
