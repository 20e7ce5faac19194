/** The part of a write or read that the system did, as `fs.writeSync` and `fs.readSync` say it. */
export type Transfer = (bytes: Uint8Array, from: number, length: number, position: number) => number;

/** A transfer that makes no progress would otherwise be repeated forever. */
class NoProgressError extends Error {
  readonly code = 'EIO';
  readonly errno = -5;
}

/** The place at which a write stopped, kept beside the error of the system. */
export interface WriteFailure {
  readonly error: unknown;
  readonly position: number;
}

/** Writes all of `length` bytes, however many calls the system needs. Undefined when it succeeded. */
export function writeFully(
  write: Transfer,
  bytes: Uint8Array,
  length: number,
  position: number,
): WriteFailure | undefined {
  let done = 0;
  while (done < length) {
    try {
      const count = write(bytes, done, length - done, position + done);
      if (count <= 0) throw new NoProgressError('the system wrote nothing');
      done += count;
    } catch (error) {
      if (isInterrupted(error)) continue;
      return { error, position: position + done };
    }
  }
  return undefined;
}

/** Reads up to `bytes.length` bytes; fewer only at the end of the file. Returns how many. */
export function readFully(read: Transfer, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    try {
      const count = read(bytes, done, bytes.length - done, position + done);
      if (count === 0) break;
      done += count;
    } catch (error) {
      if (!isInterrupted(error)) throw error;
    }
  }
  return done;
}

function isInterrupted(error: unknown): boolean {
  return errorCode(error) === 'EINTR';
}

/** The name of the errno of a system error. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'EUNKNOWN';
}

/** The negative errno of a system error. */
export function errorNumber(error: unknown): number {
  const errno = (error as { errno?: unknown } | null)?.errno;
  return typeof errno === 'number' ? errno : -5;
}
