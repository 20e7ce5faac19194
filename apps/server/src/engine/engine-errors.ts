/** Thrown when what a data directory holds does not belong together, or must not be used as asked; the member must not start. */
export class StorageMismatchError extends Error {
  override readonly name = 'StorageMismatchError';
}
