import { hostname } from 'node:os';
import { type ConfigWarning } from './cache/warning.js';
import { type LeaseId } from './kv/entry.js';
import { type Telemetry } from './telemetry/telemetry.js';
import { type WatchWarning } from './watch/watch-monitor.js';

/** Something that the application should know and that stops nothing. */
export type ClientWarning = KeepAliveWarning | ConfigWarning | ConnectionWarning | WatchWarning;

export interface KeepAliveWarning {
  /** The event loop was blocked so long that a keep-alive was sent late. */
  readonly code: 'keepalive-starved';
  readonly message: string;
  readonly leaseId: LeaseId;
  /** How late, in milliseconds. */
  readonly delayMs: number;
}

export interface ConnectionWarning {
  readonly code:
    /** Credentials were given, and the server asks nobody for them. */
    | 'auth-not-enabled'
    /** Passwords or tokens go over an unencrypted connection to another machine. */
    | 'credentials-in-clear'
    /** Certificate files cannot be read or do not fit; the last good ones stay in use. */
    | 'tls-files-unusable'
    /** No encrypted connection can be made to a member. */
    | 'tls-failed';
  readonly message: string;
}

/** What the SDK takes from the process it runs in; tests have their own. */
export interface Host {
  /** The machine and the process, for people who look at keys: `host:pid`. No identity that anything relies on. */
  readonly identity: string;
  warn(warning: ClientWarning): void;
  /** Where spans, metrics and lines go; absent when the application wants none. */
  readonly telemetry?: Telemetry;
  /** Ends the process: the last resort of a leader that does not stop. */
  exit(code: number): void;
}

export const nodeHost: Host = {
  identity: `${hostname()}:${process.pid}`,
  warn: (warning) => process.emitWarning(warning.message, { type: 'ConclaveWarning', code: warning.code }),
  exit: (code) => process.exit(code),
};
