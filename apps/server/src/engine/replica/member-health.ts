import type { MemberId } from '../raft/message.js';
import type { MemberProgress } from '../raft/raw-node.js';

/** A member counts as connected when it was not silent for this long, as etcd's strict reconfiguration check has it. */
const steadyMs = 5_000;

interface Heard {
  heardAt: number | undefined;
  silentAt: number | undefined;
}

/** Which members the leader hears. It knows of the time since it leads; what was before does not count against anybody. */
export class MemberHealth {
  private readonly members = new Map<MemberId, Heard>();
  private since = 0;

  constructor(private readonly silenceMs: number) {}

  /** This member begins to lead. */
  begin(nowMs: number): void {
    this.members.clear();
    this.since = nowMs;
  }

  observe(progress: readonly MemberProgress[], nowMs: number): void {
    for (const { member, recentActive, match } of progress) {
      let heard = this.members.get(member);
      if (heard === undefined)
        this.members.set(member, (heard = { heardAt: undefined, silentAt: undefined }));
      // A member that was just added has the benefit of the doubt in the core, not here: it must have taken something.
      if (recentActive && match > 0) heard.heardAt = nowMs;
      else if (nowMs - (heard.heardAt ?? this.since) > this.silenceMs) heard.silentAt = nowMs;
    }
  }

  /** Whether it is known of each of them if it is there: it was heard, or silent for too long. */
  isSettled(members: readonly MemberId[], nowMs: number): boolean {
    if (nowMs - this.since > this.silenceMs) return true;
    return members.every((member) => this.members.get(member)?.heardAt !== undefined);
  }

  /** Heard lately. */
  isActive(member: MemberId, nowMs: number): boolean {
    const heardAt = this.members.get(member)?.heardAt;
    return heardAt !== undefined && nowMs - heardAt <= this.silenceMs;
  }

  /** Heard lately, and without silence before that. */
  isConnected(member: MemberId, nowMs: number): boolean {
    const silentAt = this.members.get(member)?.silentAt;
    return this.isActive(member, nowMs) && (silentAt === undefined || nowMs - silentAt >= steadyMs);
  }
}
