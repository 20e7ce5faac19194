import { BackendError } from '../backend/backend-error.js';
import { DiskError } from '../platform/disk.js';

/**
 * Whether the disk itself failed: then nobody knows what it holds, and the member must stop. Lack of space is no such
 * failure, and neither is anything else that can go wrong with a copy of the state.
 */
export function isStorageFailure(error: unknown): error is Error {
  if (error instanceof DiskError) return !error.isNoSpace;
  return error instanceof BackendError && error.code === 'io';
}

/** Whether the disk, or this user's share of it, is full. */
export function isLackOfSpace(error: unknown): error is Error {
  if (error instanceof DiskError) return error.isNoSpace;
  return error instanceof BackendError && error.code === 'no-space';
}
