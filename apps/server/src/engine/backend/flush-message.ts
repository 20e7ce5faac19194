import { type RedoChunk } from './redo-list.js';
import { type AppliedMark } from './backend.js';
import { type BackendErrorCode } from './backend-error.js';
import { type FileFigures, type LmdbOptions } from './lmdb-tables.js';

/** What the flush thread is started with. */
export type FlushThreadData = LmdbOptions;

/** To the flush thread. After `close` it ends. */
export type FlushRequest =
  | { readonly kind: 'flush'; readonly chunks: readonly RedoChunk[]; readonly mark: AppliedMark }
  | { readonly kind: 'close' };

/** From the flush thread: `opened` or `failed` once, then one answer for each `flush`. */
export type FlushAnswer =
  | { readonly kind: 'opened' }
  | { readonly kind: 'flushed'; readonly figures: FileFigures; readonly milliseconds: number }
  | { readonly kind: 'failed'; readonly code: BackendErrorCode; readonly message: string };
