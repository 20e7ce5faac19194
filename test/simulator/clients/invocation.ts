import { type ProtocolError } from '@conclave/protocol';
import { type CommandKind } from '../checks/commands.js';
import { type Answer } from '../model/model.js';
import { type Horizon } from '../model/reading.js';
import { type Model } from '../model/model.js';

/** A request that a client makes: what goes over the wire, and how its answer is judged. */
export interface Request {
  /** Path of the method. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly label: string;
  /** For commands: as what it stands in the log. */
  readonly command: { readonly kind: CommandKind; readonly payload: Uint8Array } | undefined;
  /** For reads: it may be answered from the state of one member, which may be behind the others. */
  readonly isLocal: boolean;
  /** For reads: the leader answers, and the member that was asked puts its own header to that. */
  readonly isOfLeader: boolean;
  /** For reads: what it must answer when it is read behind a state of the log. */
  readonly expected: ((model: Model, horizon: Horizon, index: number) => Answer) | undefined;
  /** The response as a text and the revision of its header. */
  read(response: Uint8Array): { readonly revision: number; readonly text: string };
}

/** One call of a request. Times are virtual ms. */
export interface Invocation {
  readonly request: Request;
  readonly calledAt: number;
  /** All entries up to this one had taken effect for somebody when it was called. */
  readonly floor: number;
  /** For local reads: the last place that was read on this connection. */
  readonly localFloor: number;
  /** Index of its entry, once it was seen in the log. */
  index: number | undefined;
  /** The last entry that was applied when the member answered. */
  repliedAt: number;
}

/** How a call ended. Unknown: the answer is lost, or says so; it may have had its effect or not. */
export type Outcome =
  | { readonly kind: 'ok'; readonly response: Uint8Array }
  | { readonly kind: 'refused'; readonly error: ProtocolError }
  | { readonly kind: 'unknown'; readonly reason: string };
