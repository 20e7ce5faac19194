import type { CommandKind } from '../apply/command.js';
import { asProtocolError } from './decode.js';
import type { Reply, RequestContext, UnaryMethod } from './method.js';
import type { RequestParts } from './request-parts.js';

/** A unary method from a function that may throw a ProtocolError before it replies. */
export function unary(
  handle: (request: Uint8Array, reply: Reply, context: RequestContext) => void,
  traits: Pick<UnaryMethod, 'readsAtOnce'> = {},
): UnaryMethod {
  return {
    kind: 'unary',
    ...traits,
    call(request, context, reply) {
      try {
        handle(request, reply, context);
      } catch (error) {
        reply(asProtocolError(error), undefined);
      }
    },
  };
}

/** Proposes a command and answers with its result behind a header. */
export function proposeAndReply(
  parts: RequestParts,
  kind: CommandKind,
  payload: Uint8Array,
  reply: Reply,
): void {
  parts.replica.propose(kind, payload, (error, result) => {
    if (error !== undefined || result === undefined) return reply(error, undefined);
    reply(undefined, parts.header.response(result.revision, result.body));
  });
}
