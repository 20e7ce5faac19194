import { type ApplyResult } from '../../../apps/server/src/engine/apply/apply-result.js';
import { type Entry } from '../../../apps/server/src/engine/raft/message.js';
import { Model, type Answer } from '../model/model.js';
import { type Invocation } from '../clients/invocation.js';
import { Violation } from '../world/violation.js';
import { CommandKind, decodeCommand, modelCommand, responseText } from './commands.js';

/** One entry of the committed log and what the world was after it. */
export interface Committed {
  readonly term: number;
  readonly data: Buffer;
  readonly answer: Answer;
  /** After this entry. */
  readonly compacted: number;
  readonly isOutOfSpace: boolean;
}

/** What the log knows of a lease: from one index on, until another. */
export interface LeaseLife {
  readonly grantedAt: number;
  revokedAt: number;
}

/** Told of what leases do, with true times. */
export interface LeaseWatcher {
  granted(id: bigint, ttlSeconds: number): void;
  revoked(id: bigint, byExpiry: boolean): void;
}

/**
 * The committed log, as a member applies it: every entry goes through the model when it is first seen, and must be the same, with the
 * same result, whenever it is seen again. Index 0 is the empty store.
 */
export class CommittedLog {
  readonly model = new Model();
  readonly entries: Committed[] = [];
  readonly leases = new Map<bigint, LeaseLife[]>();
  leaseWatcher: LeaseWatcher | undefined;
  /** Internal compactions are expected. */
  compactsByItself = false;
  /** The index that the running process must apply next. */
  private next = 1;
  /** Requests that were proposed and not seen in the log, by process, kind and payload; oldest first. */
  private readonly proposed = new Map<string, Invocation[]>();

  constructor() {
    const answer = { error: undefined, revision: 1, text: '' };
    const data = Buffer.alloc(0);
    this.entries.push({ term: 0, data, answer, compacted: -1, isOutOfSpace: false });
  }

  /** Index of the last entry. */
  get last(): number {
    return this.entries.length - 1;
  }

  /** A process starts from a store that has applied `index`. */
  restarted(index: number): void {
    if (index > this.last) {
      throw new Violation(
        'K2',
        `the store says that entry ${index} is applied; the log ends at ${this.last}`,
      );
    }
    this.next = index + 1;
  }

  /** A client proposes; `undefined` boot: no process runs. */
  propose(boot: bigint, kind: CommandKind, payload: Uint8Array, invocation: Invocation): void {
    const name = nameOf(boot, kind, payload);
    const waiting = this.proposed.get(name);
    if (waiting === undefined) this.proposed.set(name, [invocation]);
    else waiting.push(invocation);
  }

  /** The request was refused before it was proposed: from now on it must never be seen. */
  withdraw(boot: bigint, kind: CommandKind, payload: Uint8Array, invocation: Invocation): void {
    const waiting = this.proposed.get(nameOf(boot, kind, payload)) ?? [];
    const at = waiting.indexOf(invocation);
    if (at >= 0) waiting.splice(at, 1);
  }

  /** A member applied an entry. */
  applied(entry: Entry, result: ApplyResult): void {
    const { index } = entry;
    if (index !== this.next) throw new Violation('R5', `entry ${index} was applied, ${this.next} was due`);
    this.next = index + 1;
    if (index <= this.last) this.compareAgain(entry, result);
    else this.add(entry, result);
  }

  /** A member serves again: all that was ever applied must have come back. */
  serving(): void {
    if (this.next > this.last) return;
    const lost = `entries ${this.next} to ${this.last} were applied before and are gone`;
    throw new Violation('K2', lost);
  }

  /** Whether a lease was alive after some entry from `first` to `last`; and the same for not being alive. */
  leaseWas(id: bigint, state: 'alive' | 'gone', first: number, last: number): boolean {
    for (let index = first; index <= last; index++) {
      if (this.isAlive(id, index) === (state === 'alive')) return true;
    }
    return false;
  }

  isAlive(id: bigint, index: number): boolean {
    return (this.leases.get(id) ?? []).some((life) => life.grantedAt <= index && index < life.revokedAt);
  }

  private compareAgain(entry: Entry, result: ApplyResult): void {
    const before = this.entries[entry.index];
    if (before.term !== entry.term || !before.data.equals(entry.data)) {
      throw new Violation('K2', `entry ${entry.index} was committed, and is another one after a restart`);
    }
    this.compareResult(entry, result, before.answer);
  }

  private add(entry: Entry, result: ApplyResult): void {
    const data = Buffer.from(entry.data);
    const command =
      data.length === 0 ? ({ kind: 'other' } as const) : modelCommand(decodeCommand(data), entry.term);
    const answer = this.model.apply(command);
    const { compacted, isOutOfSpace } = this.model;
    this.entries.push({ term: entry.term, data, answer, compacted, isOutOfSpace });
    this.compareResult(entry, result, answer);
    if (data.length > 0) this.assign(data, entry.index);
    if (answer.error === undefined) this.followLease(command, entry.index);
  }

  private followLease(command: ReturnType<typeof modelCommand>, index: number): void {
    if (command.kind === 'grant') {
      const lives = this.leases.get(command.id) ?? [];
      lives.push({ grantedAt: index, revokedAt: Number.POSITIVE_INFINITY });
      this.leases.set(command.id, lives);
      this.leaseWatcher?.granted(command.id, Number(command.ttl));
    }
    if (command.kind !== 'revoke' && !(command.kind === 'expire' && command.isOfThisTerm)) return;
    const life = this.leases.get(command.id)?.at(-1);
    if (life === undefined || life.revokedAt <= index) return;
    life.revokedAt = index;
    this.leaseWatcher?.revoked(command.id, command.kind === 'expire');
  }

  private compareResult(entry: Entry, result: ApplyResult, expected: Answer): void {
    const error = result.error?.reason;
    const kind = entry.data.length === 0 ? undefined : decodeCommand(entry.data).kind;
    const text = kind === undefined || error !== undefined ? '' : responseText(kind, result.body);
    const isRight =
      error === expected.error && result.revision === expected.revision && text === expected.text;
    if (isRight) return;
    throw new Violation(
      'R5',
      `entry ${entry.index} (${CommandKind[kind ?? 0] ?? 'empty'}) gave ${error ?? text} at revision ` +
        `${result.revision}; the model says ${expected.error ?? expected.text} at revision ${expected.revision}`,
    );
  }

  /** Finds out whose request an entry is: of one process, equal requests are in the log in the order in which they were made. */
  private assign(data: Buffer, index: number): void {
    const { boot, kind, payload } = decodeCommand(data);
    const invocation = this.proposed.get(nameOf(boot, kind, payload))?.shift();
    if (invocation !== undefined) {
      invocation.index = index;
      return;
    }
    const isInternal =
      kind === CommandKind.LeaseExpire ||
      kind === CommandKind.Alarm ||
      kind === CommandKind.MemberAttributes ||
      kind === CommandKind.ClusterVersion ||
      (kind === CommandKind.Compact && this.compactsByItself);
    if (!isInternal)
      throw new Violation('K3', `entry ${index} (${CommandKind[kind]}) was asked for by nobody, or twice`);
  }
}

function nameOf(boot: bigint, kind: CommandKind, payload: Uint8Array): string {
  return `${boot}/${kind}/${Buffer.from(payload).toString('latin1')}`;
}
