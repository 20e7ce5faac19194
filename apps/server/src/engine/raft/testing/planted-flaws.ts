import { RaftLog } from '../log.js';
import { Raft } from '../raft.js';
import { ReadOnly } from '../read-only.js';
import { Progress } from '../tracker/progress.js';
import { Tracker } from '../tracker/tracker.js';
import { Unstable } from '../unstable.js';
import { type Property } from './checker.js';
import { type HostFlaws } from './simulated-member.js';

/** A mistake that consensus implementations have really made, planted to show that the checker would find it. */
export interface PlantedFlaw {
  readonly name: string;
  readonly host?: HostFlaws;
  /** Replaces a method of the core; the answer puts it back. */
  readonly plant?: () => () => void;
  /** Not checked in these runs, so that the flaw has to show by its consequences. */
  readonly ignored?: readonly Property[];
}

/** Replaces one method of a class, and returns how to undo it. */
function replace<T extends object, K extends keyof T>(prototype: T, name: K, method: T[K]): () => void {
  const original = prototype[name];
  prototype[name] = method;
  return () => {
    prototype[name] = original;
  };
}

export const PLANTED_FLAWS: readonly PlantedFlaw[] = [
  { name: 'a vote leaves before it is durable', host: { sendsBeforePersist: true } },
  {
    name: 'a vote leaves before it is durable (found by its consequences)',
    host: { sendsBeforePersist: true },
    ignored: ['R7', 'R8'],
  },
  {
    name: 'the host acknowledges batches before they are durable',
    host: { acknowledgesBeforePersist: true },
  },
  {
    name: 'the host acknowledges batches before they are durable (found by its consequences)',
    host: { acknowledgesBeforePersist: true },
    ignored: ['R7', 'R8'],
  },
  {
    name: 'entries of old terms are committed by counting (figure 8)',
    plant: () =>
      replace(RaftLog.prototype, 'isCommittable', function (this: RaftLog, index) {
        return index > this.commit;
      }),
  },
  {
    name: 'a read is answered before a quorum confirmed the leader',
    plant: () =>
      replace(Tracker.prototype, 'quorumRead', function (this: Tracker) {
        return this.self.readAcknowledged;
      }),
  },
  {
    name: 'a read is answered before the first commit of the term',
    plant: () => replace(ReadOnly.prototype, 'isOpen', () => true),
  },
  {
    name: 'numbers of forwarded reads begin anew after a restart',
    plant: () => {
      const numbers = new WeakMap<Raft, number>();
      return replace(Raft.prototype, 'nextReadRequest', function (this: Raft) {
        numbers.set(this, (numbers.get(this) ?? 0) + 1);
        return numbers.get(this)!;
      });
    },
  },
  {
    name: 'a late answer to an old round confirms the newest',
    plant: () => {
      const confirm = ReadOnly.prototype.confirm;
      return replace(ReadOnly.prototype, 'confirm', function (this: ReadOnly, sequence) {
        return confirm.call(this, sequence > 0 ? this.sequence : 0);
      });
    },
  },
  {
    name: 'entries are applied before they are durable on the member',
    plant: () => {
      const takeCommitted = RaftLog.prototype.takeCommitted;
      return replace(RaftLog.prototype, 'takeCommitted', function (this: RaftLog) {
        return takeCommitted.call(this, this.lastIndex);
      });
    },
  },
  {
    name: 'the answer to a heartbeat counts as an acknowledgement of all that was sent',
    plant: () =>
      replace(Progress.prototype, 'heard', function (this: Progress) {
        this.acknowledged(this.next - 1);
      }),
  },
  {
    name: 'a vote goes to a log that is behind',
    plant: () => replace(RaftLog.prototype, 'isUpToDate', () => true),
  },
  {
    name: 'a conflicting suffix is kept when its replacement is shorter',
    plant: () =>
      replace(RaftLog.prototype, 'matches', function (this: RaftLog, index) {
        return this.knows(index);
      }),
  },
  {
    name: 'replaced entries count as durable with the batch that held the old ones',
    plant: () =>
      replace(
        Unstable.prototype as unknown as { cutOutstanding: (index: number) => void },
        'cutOutstanding',
        () => {},
      ),
  },
];
