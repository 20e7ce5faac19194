import { abortable } from '../cancellation.js';
import { type Leases } from '../lease/leases.js';
import { Session } from './session.js';

/**
 * One shared session per TTL and margin, granted on first use and replaced when it is lost or retired: a process has
 * one lease, however many locks it takes.
 */
export class SessionPool {
  private readonly granted = new Map<string, Session>();
  private readonly granting = new Map<string, Promise<Session>>();
  private isClosed = false;

  constructor(private readonly leases: Leases) {}

  /** @throws ConclaveError (rejects) when no lease can be granted; CancelledError when the signal aborts first. */
  async get(ttlMs: number, marginMs: number, signal: AbortSignal): Promise<Session> {
    const name = `${ttlMs}/${marginMs}`;
    const session = this.granted.get(name);
    if (session !== undefined && !session.retired && session.isAlive()) return session;
    let granting = this.granting.get(name);
    if (granting === undefined) {
      granting = this.grant(name, ttlMs, marginMs);
      this.granting.set(name, granting);
      granting.catch(() => undefined);
    }
    return abortable(granting, signal);
  }

  private async grant(name: string, ttlMs: number, marginMs: number): Promise<Session> {
    try {
      const session = new Session(await this.leases.grant({ ttl: ttlMs, margin: marginMs }), true);
      if (this.isClosed) await session.close();
      else this.granted.set(name, session);
      return session;
    } finally {
      this.granting.delete(name);
    }
  }

  /** Revokes all sessions. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.allSettled(this.granting.values());
    await Promise.all([...this.granted.values()].map((session) => session.close()));
    this.granted.clear();
  }
}
