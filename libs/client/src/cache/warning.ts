/** What the application should know about its configuration, and what stops nothing. */
export type ConfigWarningCode =
  /** A cache file cannot be used; the reader goes on as without one. */
  | 'cache-unusable'
  /** A cache file could not be written. */
  | 'cache-not-written'
  /** A pinned or an override file cannot be used. */
  | 'pinned-unusable'
  /** A release was not applied; the last good one stays in force. */
  | 'release-rejected'
  /** What this instance runs could not be reported to the store. */
  | 'report-failed';

export interface ConfigWarning {
  readonly code: ConfigWarningCode;
  readonly message: string;
  /** Of a release that was rejected. */
  readonly namespace?: string;
}

export type OnConfigWarning = (warning: ConfigWarning) => void;

/** A warning of the process, as Node prints them on standard error. */
export const processWarning: OnConfigWarning = ({ code, message }) =>
  process.emitWarning(message, { type: 'ConclaveWarning', code });
