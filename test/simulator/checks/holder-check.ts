import { keyRange, type Version } from '../model/history.js';
import { Violation } from '../world/violation.js';
import { type CommittedLog } from './committed-log.js';

/** Somebody who was told that it holds a lock or leads. */
export interface Holder {
  readonly who: string;
  /** The create revision of its key. */
  readonly token: number;
  /** Whether it believes so now, by its own rule on its own monotonic clock. */
  believes(): boolean;
}

/**
 * One lock or one election, seen from outside: what its holders were told and when they believe it, against the committed log.
 *
 * Beliefs begin with an acquisition and never again after their end, so two overlap exactly if one is there when another begins.
 */
export class HolderCheck {
  /** How often somebody became the holder. */
  turns = 0;
  private lastToken = 0;
  private holders: Holder[] = [];

  /** @param prefix Of the keys of the queue. @param guarded Written under the guard of a token, which is its value; if there is one. */
  constructor(
    private readonly log: CommittedLog,
    readonly name: string,
    readonly prefix: string,
    private readonly guarded: string | undefined,
  ) {}

  /** @param acquiredAt The revision at which the store said that it owns. */
  acquired(holder: Holder, acquiredAt: number): void {
    const { name, log } = this;
    const { who, token } = holder;
    this.turns++;
    if (acquiredAt > log.model.revision)
      throw new Violation('M2', `${who} holds ${name} since revision ${acquiredAt}, which is not there`);
    const owner = this.ownerAt(acquiredAt);
    if (owner?.create !== token) {
      const right = owner === undefined ? 'nobody' : `the one with token ${owner.create}`;
      throw new Violation(
        'M2',
        `${who} took ${name} with token ${token}; at revision ${acquiredAt} ${right} owns it`,
      );
    }
    if (token <= this.lastToken)
      throw new Violation(
        'M4',
        `${who} took ${name} with token ${token}, behind a holder with ${this.lastToken}`,
      );
    this.lastToken = token;
    this.holders = this.holders.filter((each) => each.believes());
    for (const other of this.holders)
      throw new Violation('M6', `${who} holds ${name} with token ${token}, but ${other.who} believes it too`);
    this.holders.push(holder);
  }

  /** A write that needed the token was accepted, as the store answered, at that revision. */
  accepted({ who, token }: Holder, revision: number): void {
    const owner = this.ownerAt(revision)?.create;
    if (owner === token) return;
    const { name } = this;
    throw new Violation(
      'M1',
      `at ${revision} ${who} wrote with token ${token} of ${name}; ${owner} owned it`,
    );
  }

  /** Every guarded write that was ever committed, answered or not, was the owner's. */
  checkWrites(): void {
    const { model } = this.log;
    const isWrite = ({ deleted, key, version }: Version): boolean =>
      !deleted && (key === this.guarded || version > 1);
    const range = this.guarded ?? this.prefix;
    const keys = keyRange(Buffer.from(range), Buffer.from(this.guarded === undefined ? endOf(range) : ''));
    for (const write of model.history.between(keys, 1, model.revision)) {
      if (!isWrite(write)) continue;
      const token = this.guarded === undefined ? write.create : Number(write.value);
      this.accepted({ who: 'somebody', token, believes: () => false }, write.mod);
    }
  }

  /** The key of the queue with the lowest create revision. */
  private ownerAt(revision: number): Version | undefined {
    const range = keyRange(Buffer.from(this.prefix), Buffer.from(endOf(this.prefix)));
    const rows = this.log.model.history.rows(range, revision);
    return rows.sort((a, b) => a.create - b.create)[0];
  }
}

/** The end of the range of all keys that begin so. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
