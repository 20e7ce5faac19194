import { type ApplyResult } from '../../../apps/server/src/engine/apply/apply-result.js';
import { type Entry } from '../../../apps/server/src/engine/raft/message.js';
import { Model, type Answer } from '../model/model.js';
import { type Invocation } from '../clients/invocation.js';
import { Violation } from '../world/violation.js';
import { decodeConfChange } from '../../../apps/server/src/engine/raft/confchange/conf-change.js';
import { Configuration } from './configuration.js';
import { CommandKind, decodeCommand, modelCommand, responseText } from './commands.js';

/** The founding of a cluster has this place in its log, and is no entry of it. */
export const foundingIndex = 1;

/** One entry of the committed log and what the world was after it. */
export interface Committed {
  readonly term: number;
  /** The newest term that a leader had claimed when the entry was first applied. */
  readonly seenInTerm: number;
  readonly data: Buffer;
  readonly answer: Answer;
  /** What the member answered that was the first to apply it. */
  readonly raw: ApplyResult | undefined;
  /** After this entry. */
  readonly compacted: number;
  readonly isOutOfSpace: boolean;
}

/** Commands that only clients ask for. */
const ofClients: ReadonlySet<CommandKind> = new Set([
  CommandKind.Put,
  CommandKind.DeleteRange,
  CommandKind.Txn,
  CommandKind.Compact,
  CommandKind.LeaseGrant,
  CommandKind.LeaseRevoke,
]);

/** What the log knows of a lease: from one index on, until another. */
export interface LeaseLife {
  readonly grantedAt: number;
  revokedAt: number;
}

/** Equal requests of one process whose entries are not known, and entries of which it is not known whose they are. */
interface Asked {
  readonly invocations: Invocation[];
  readonly entries: number[];
}

/** Told of what leases do, with true times. */
export interface LeaseWatcher {
  granted(id: bigint, ttlSeconds: number): void;
  revoked(id: bigint, byExpiry: boolean): void;
}

/**
 * The committed log: every entry goes through the model when a member is the first to apply it, and must be the same, with the same
 * result, whenever it is applied again, there or elsewhere. Index 0 is the empty store.
 */
export class CommittedLog {
  readonly model = new Model();
  readonly entries: Committed[] = [];
  readonly leases = new Map<bigint, LeaseLife[]>();
  leaseWatcher: LeaseWatcher | undefined;
  /** Called once, with the next entry that somebody is the first to apply. */
  onCommit: (() => void) | undefined;
  /** Internal compactions are expected. */
  compactsByItself = false;
  /** The newest term that a leader has claimed. */
  term: () => number = () => 0;
  /** What processes were asked for, by process, kind and payload. */
  private readonly asked = new Map<string, Asked>();
  /** Who has proposed what, by member, process and number: nothing may be there twice (K3). */
  private readonly names = new Set<string>();

  constructor(readonly configuration = new Configuration([])) {
    const answer = { error: undefined, revision: 1, text: '' };
    const data = Buffer.alloc(0);
    for (let index = 0; index <= foundingIndex; index++) {
      const term = index;
      this.entries.push({
        term,
        seenInTerm: term,
        data,
        answer,
        raw: undefined,
        compacted: -1,
        isOutOfSpace: false,
      });
    }
  }

  /** Index of the last entry. */
  get last(): number {
    return this.entries.length - 1;
  }

  /** A client asks a process for a command. */
  propose(boot: bigint, kind: CommandKind, payload: Uint8Array, invocation: Invocation): void {
    const name = nameOf(boot, kind, payload);
    const asked = this.asked.get(name);
    if (asked === undefined) this.asked.set(name, { invocations: [invocation], entries: [] });
    else asked.invocations.push(invocation);
  }

  /** The request was refused before it was proposed: from now on it must never be seen. */
  withdraw(boot: bigint, kind: CommandKind, payload: Uint8Array, invocation: Invocation): void {
    if (invocation.index !== undefined) return;
    const { invocations = [] } = this.asked.get(nameOf(boot, kind, payload)) ?? {};
    const at = invocations.indexOf(invocation);
    if (at >= 0) invocations.splice(at, 1);
  }

  /**
   * The process answers, with or without success. Among equal requests the answer says whose an entry is: it comes when
   * the process has applied it, and before it applies another; that of a physical compaction comes later.
   */
  answered(
    boot: bigint,
    kind: CommandKind,
    payload: Uint8Array,
    invocation: Invocation,
    succeeded: boolean,
  ): void {
    if (invocation.index !== undefined) return;
    const asked = this.asked.get(nameOf(boot, kind, payload));
    if (asked === undefined || !asked.invocations.includes(invocation)) return;
    const { repliedAt, floor } = invocation;
    const fits = (index: number): boolean => (this.entries[index].answer.error === undefined) === succeeded;
    const isEarlier = (index: number): boolean => index > floor && index < repliedAt && fits(index);
    const place = asked.entries.includes(repliedAt)
      ? asked.entries.indexOf(repliedAt)
      : asked.entries.findIndex(isEarlier);
    if (place < 0) return;
    invocation.index = asked.entries[place];
    asked.entries.splice(place, 1);
    asked.invocations.splice(asked.invocations.indexOf(invocation), 1);
  }

  /** A member applied an entry: the first one that nobody has applied before, or one of those again. */
  applied(entry: Entry, result: ApplyResult): void {
    if (entry.index <= this.last) this.compareAgain(entry, result);
    else this.add(entry, result);
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
      throw new Violation(
        'K2',
        `entry ${entry.index} was committed in term ${before.term}, and is now another one`,
      );
    }
    const { raw } = before;
    if (raw === undefined) return;
    const isSame = raw.error?.reason === result.error?.reason && raw.revision === result.revision;
    if (isSame && Buffer.compare(raw.body, result.body) === 0) return;
    throw new Violation('R5', `entry ${entry.index} gave another result than where it was applied before`);
  }

  private add(entry: Entry, result: ApplyResult): void {
    const data = Buffer.from(entry.data);
    const isCommand = data.length > 0 && entry.kind === 'normal';
    const command = !isCommand ? ({ kind: 'other' } as const) : modelCommand(decodeCommand(data), entry);
    const answer = this.model.apply(command);
    const { compacted, isOutOfSpace } = this.model;
    const raw = { ...result, body: result.body.slice() };
    this.entries.push({
      term: entry.term,
      seenInTerm: this.term(),
      data,
      answer,
      raw,
      compacted,
      isOutOfSpace,
    });
    if (entry.kind === 'config') this.configure(entry, result);
    else this.compareResult(entry, result, answer);
    if (isCommand) this.assign(data, entry.index);
    if (answer.error === undefined) this.followLease(command, entry.index);
    const { onCommit } = this;
    this.onCommit = undefined;
    onCommit?.();
  }

  /** A change of the members, or one that all of them refused alike. */
  private configure({ data, index }: Entry, result: ApplyResult): void {
    const { context, changes } = decodeConfChange(data);
    if (changes.length > 0) this.assign(Buffer.from(context), index);
    if (result.error === undefined) this.configuration.apply(data, index);
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
    // Decided before this life of the id began: of an earlier one.
    if (command.kind === 'expire' && command.decidedAt < life.grantedAt) return;
    life.revokedAt = index;
    this.leaseWatcher?.revoked(command.id, command.kind === 'expire');
  }

  private compareResult(entry: Entry, result: ApplyResult, expected: Answer): void {
    const error = result.error?.reason;
    const isCommand = entry.data.length > 0 && entry.kind === 'normal';
    const kind = isCommand ? decodeCommand(entry.data).kind : undefined;
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

  /** Finds out whose request an entry is. Among equal requests of one process the answers will tell. */
  private assign(data: Buffer, index: number): void {
    const { member, boot, sequence, kind, payload } = decodeCommand(data);
    const name = `${member}/${boot}/${sequence}`;
    if (this.names.has(name))
      throw new Violation('K3', `entry ${index} was proposed once and committed twice`);
    this.names.add(name);
    const asked = this.asked.get(nameOf(boot, kind, payload));
    if (asked !== undefined && asked.invocations.length > asked.entries.length) {
      if (asked.invocations.length === 1) asked.invocations.pop()!.index = index;
      else asked.entries.push(index);
      return;
    }
    const isInternal = !ofClients.has(kind) || (kind === CommandKind.Compact && this.compactsByItself);
    if (!isInternal)
      throw new Violation('K3', `entry ${index} (${CommandKind[kind]}) was asked for by nobody, or twice`);
  }
}

function nameOf(boot: bigint, kind: CommandKind, payload: Uint8Array): string {
  return `${boot}/${kind}/${Buffer.from(payload).toString('latin1')}`;
}
