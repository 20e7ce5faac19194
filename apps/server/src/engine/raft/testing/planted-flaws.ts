import { Configuration } from '../confchange/configuration.js';
import { RaftLog } from '../log.js';
import { type ConfState } from '../message.js';
import { type Electorate } from '../quorum/joint.js';
import { Raft } from '../raft.js';
import { ReadOnly } from '../read-only.js';
import { Progress } from '../tracker/progress.js';
import { Tracker } from '../tracker/tracker.js';
import { Transfer } from '../transfer.js';
import { Unstable } from '../unstable.js';
import { type Property } from './checker.js';
import { type HostFlaws } from './simulated-member.js';

/** A mistake that consensus implementations have really made, planted to show that the checker would find it. */
export interface PlantedFlaw {
  readonly name: string;
  readonly host?: HostFlaws;
  /** Replaces a method of the core; the answer puts it back. */
  readonly plant?: () => () => void;
  /** A seed in which it showed when the flaw was planted, to be tried first; any other seed serves as well. */
  readonly seed?: number;
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

/** The same for a getter that answers with a condition. */
function answer<T extends object>(prototype: T, name: keyof T, value: boolean): () => void {
  const original = Object.getOwnPropertyDescriptor(prototype, name)!;
  Object.defineProperty(prototype, name, { ...original, get: () => value });
  return () => {
    Object.defineProperty(prototype, name, original);
  };
}

/** Lets every configuration that comes into force decide with other voters than it says. */
function decideWith(electorate: (conf: ConfState) => Electorate): () => void {
  const apply = Raft.prototype.applyConfChange;
  return replace(Raft.prototype, 'applyConfChange', function (this: Raft, change) {
    const confState = apply.call(this, change);
    Object.assign(this.configuration.electorate, electorate(confState));
    return confState;
  });
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
    seed: 1160,
    plant: () =>
      replace(RaftLog.prototype, 'isCommittable', function (this: RaftLog, index) {
        return index > this.commit;
      }),
  },
  {
    name: 'a read is answered before a quorum confirmed the leader',
    seed: 496,
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
    seed: 733,
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
        this.acknowledged(this.next - 1, 0);
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
  {
    name: 'a second membership change is proposed before the first is applied',
    plant: () => answer(RaftLog.prototype, 'hasConfig', false),
  },
  {
    name: 'a member campaigns with a committed membership change unapplied',
    plant: () => answer(RaftLog.prototype, 'hasCommittedConfig', false),
  },
  {
    name: 'a joint configuration decides with its incoming half alone',
    seed: 1158,
    plant: () => decideWith(({ voters }) => ({ incoming: voters, outgoing: [] })),
  },
  {
    name: 'learners count in decisions',
    seed: 77,
    plant: () =>
      decideWith(({ voters, learners, outgoing }) => ({ incoming: [...voters, ...learners], outgoing })),
  },
  {
    name: 'a member that joins begins from the log, without what the cluster began with',
    plant: () => answer(Configuration.prototype, 'isEmpty', false),
  },
  {
    name: 'a state counts as durable before it is installed',
    plant: () => {
      const restartAt = Unstable.prototype.restartAt;
      return replace(Unstable.prototype, 'restartAt', function (this: Unstable, index) {
        restartAt.call(this, index);
        this.restarted();
      });
    },
  },
  { name: 'the host reports a state before it is durable', host: { reportsBeforeInstall: true } },
  { name: 'a state is installed without its configuration', host: { forgetsConfiguration: true } },
  {
    name: 'a state that was sent counts as held by its receiver',
    seed: 167,
    plant: () => {
      const snapshotSent = Progress.prototype.snapshotSent;
      return replace(Progress.prototype, 'snapshotSent', function (this: Progress, index) {
        snapshotSent.call(this, index);
        this.acknowledged(index, 0);
      });
    },
  },
  {
    name: 'a leader does not look after a member whose state was lost',
    seed: 77,
    plant: () => replace(Progress.prototype, 'snapshotSent', () => {}),
  },
  {
    name: 'a transfer is never given up',
    seed: 732,
    plant: () => replace(Transfer.prototype, 'tick', () => false),
  },
];
