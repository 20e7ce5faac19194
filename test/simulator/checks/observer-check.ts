import { Violation } from '../world/violation.js';
import { type CommittedLog } from './committed-log.js';

/** What an observer of an election is told of a leader. */
export interface Observed {
  readonly key: string;
  readonly text: string;
  readonly term: number;
  /** Of its last proclamation. */
  readonly revision: number;
}

/** L2: an observer sees leaders and what they proclaim in order, only what was really proclaimed, and never goes back. */
export class ObserverCheck {
  /** Leaders and proclamations that were seen. */
  seen = 0;
  last: Observed | null | undefined;
  private newest: Pick<Observed, 'term' | 'revision'> = { term: 0, revision: 0 };

  constructor(private readonly log: CommittedLog) {}

  take(leader: Observed | null): void {
    this.last = leader;
    if (leader === null) return;
    this.seen++;
    const { term, revision, key, text } = leader;
    const { newest } = this;
    const isLater = term > newest.term || (term === newest.term && revision > newest.revision);
    if (!isLater) {
      throw new Violation(
        'L2',
        `an observer saw term ${term} at ${revision} behind term ${newest.term} at ${newest.revision}`,
      );
    }
    this.newest = { term, revision };
    const version = this.log.model.history.at(key, revision);
    if (version?.mod === revision && version.create === term && version.value === text) return;
    throw new Violation('L2', `an observer saw "${text}" of ${key} at ${revision}, which nobody proclaimed`);
  }
}
