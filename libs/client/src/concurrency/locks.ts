import { type Duration } from '../duration.js';
import { leaseTimes } from '../lease/leases.js';
import { type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { Election, type ElectionOptions } from './election.js';
import { type QueueKind, queuePrefix } from './lock-names.js';
import { DistributedMutex, type LockOptions } from './mutex.js';
import { ReadWriteLock } from './rwlock.js';
import { Session } from './session.js';

/** Locks by name. */
export class Locks {
  /** Tells the read-write claims of one session apart; each has a key of its own. */
  private claims = 0;

  constructor(private readonly context: ConcurrencyContext) {}

  /** Asks the store nothing yet. @throws InvalidArgumentError for an empty name or impossible times. */
  mutex(name: string, options: LockOptions = {}): DistributedMutex {
    return new DistributedMutex(this.context, name, target(this.context, 'locks', name, options));
  }

  /**
   * A lock of many readers or one writer. Its queue is its own: the mutex of the same name is another lock.
   *
   * @throws InvalidArgumentError for an empty name or impossible times.
   */
  rwlock(name: string, options: LockOptions = {}): ReadWriteLock {
    const base = target(this.context, 'rwlocks', name, options);
    const readers = `${base.prefix}read/`;
    const keysIn = (folder: string) => (session: Session) => {
      this.claims += 1;
      return `${folder}${session.leaseId.toString(16)}-${this.claims}`;
    };
    const write = { ...base, readers, concurrent: true, keyFor: keysIn(`${base.prefix}write/`) };
    const read = { ...write, blockers: `${base.prefix}write/`, keyFor: keysIn(readers) };
    return new ReadWriteLock(this.context, name, { read, write });
  }

  /** A session of the caller's own: locks bound to it are lost together, and released together by closing it. */
  async session(options: SessionOptions = {}): Promise<Session> {
    return new Session(await this.context.leases.grant(options));
  }
}

export interface SessionOptions {
  readonly ttl?: Duration;
  readonly margin?: Duration;
  readonly signal?: AbortSignal;
}

/** Elections by name. */
export class Elections {
  constructor(private readonly context: ConcurrencyContext) {}

  /** Asks the store nothing yet. @throws InvalidArgumentError for an empty name or impossible times. */
  election(name: string, options: ElectionOptions = {}): Election {
    const queue = target(this.context, 'elections', name, options);
    // Beside the queue, since every key below its prefix is a candidate.
    return new Election(this.context, name, { ...queue, cession: `${queue.prefix.slice(0, -1)}.ceded` });
  }
}

const words: Readonly<Record<QueueKind, string>> = {
  locks: 'lock',
  rwlocks: 'read-write lock',
  elections: 'election',
};

function target(context: ConcurrencyContext, kind: QueueKind, name: string, options: LockOptions): Target {
  const prefix = queuePrefix(kind, name, context.keyPrefix, options.raw ?? false);
  return {
    what: `${words[kind]} '${name}'`,
    prefix,
    blockers: prefix,
    keyFor: (session) => prefix + session.leaseId.toString(16),
    concurrent: false,
    reentry: options.reentry ?? 'refuse',
    value: options.value ?? context.host.identity,
    ...leaseTimes(options),
    session: options.session,
  };
}
