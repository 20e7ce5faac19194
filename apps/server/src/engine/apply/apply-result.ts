import { type ProtocolError } from '@conclave/protocol';

/**
 * What applying one command gave: a pure function of the state, the entry and the cluster version, the same on every
 * member (S5). Headers differ between members, so a result holds the response message without its header.
 */
export interface ApplyResult {
  /** A command that was refused changed nothing. */
  readonly error: ProtocolError | undefined;
  /** The store's revision for the response header. */
  readonly revision: number;
  /** The fields of the response message after its header, encoded; empty for an error. */
  readonly body: Uint8Array;
}

export const emptyBody = new Uint8Array(0);
