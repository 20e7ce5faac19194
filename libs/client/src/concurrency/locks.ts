import { type Duration } from '../duration.js';
import { leaseTimes } from '../lease/leases.js';
import { type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { Election, type ElectionOptions } from './election.js';
import { queuePrefix } from './lock-names.js';
import { DistributedMutex, type LockOptions } from './mutex.js';
import { Session } from './session.js';

/** Locks by name. */
export class Locks {
  constructor(private readonly context: ConcurrencyContext) {}

  /** Asks the store nothing yet. @throws InvalidArgumentError for an empty name or impossible times. */
  mutex(name: string, options: LockOptions = {}): DistributedMutex {
    return new DistributedMutex(this.context, name, target(this.context, 'locks', name, options));
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
    return new Election(this.context, name, target(this.context, 'elections', name, options));
  }
}

function target(
  context: ConcurrencyContext,
  kind: 'locks' | 'elections',
  name: string,
  options: LockOptions,
): Target {
  return {
    what: `${kind === 'locks' ? 'lock' : 'election'} '${name}'`,
    prefix: queuePrefix(kind, name, context.keyPrefix, options.raw ?? false),
    value: options.value ?? '',
    ...leaseTimes(options),
    session: options.session,
  };
}
