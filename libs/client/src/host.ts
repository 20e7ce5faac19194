import { hostname } from 'node:os';
import { type ConfigWarning } from './cache/warning.js';
import { type LeaseId } from './kv/entry.js';

/** Something that the application should know and that stops nothing. */
export type ClientWarning = KeepAliveWarning | ConfigWarning;

export interface KeepAliveWarning {
  /** The event loop was blocked so long that a keep-alive was sent late. */
  readonly code: 'keepalive-starved';
  readonly message: string;
  readonly leaseId: LeaseId;
  /** How late, in milliseconds. */
  readonly delayMs: number;
}

/** What the SDK takes from the process it runs in; tests have their own. */
export interface Host {
  /** The machine and the process, for people who look at keys: `host:pid`. No identity that anything relies on. */
  readonly identity: string;
  warn(warning: ClientWarning): void;
  /** Ends the process: the last resort of a leader that does not stop. */
  exit(code: number): void;
}

export const nodeHost: Host = {
  identity: `${hostname()}:${process.pid}`,
  warn: (warning) => process.emitWarning(warning.message, { type: 'ConclaveWarning', code: warning.code }),
  exit: (code) => process.exit(code),
};
