import { type AppliedMark } from './backend.js';
import { type BackendErrorCode } from './backend-error.js';
import { type LmdbOptions } from './lmdb-tables.js';

/** What a copy thread is started with. */
export interface CopyThreadData {
  readonly source: LmdbOptions;
  /** The state file that it makes. */
  readonly path: string;
}

/** What a copy thread says before it ends, once. */
export type CopyAnswer =
  | { readonly kind: 'copied'; readonly mark: AppliedMark; readonly bytes: number }
  | { readonly kind: 'failed'; readonly code: BackendErrorCode; readonly message: string };
