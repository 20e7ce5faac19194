import { ProtocolError } from '@conclave/protocol';
import type { RequestContext, RequestStream, ResponseStream, StreamMethod } from './method.js';

/** A stream of a caller that wants to know when there is no leader. */
interface Guarded {
  readonly cut: () => void;
}

/**
 * Streams of callers that ask for a leader (metadata `hasleader`): they are cut when none was known for three election
 * timeouts, as etcd does, so that their callers go to a member that has one.
 */
export class LeaderlessStreams {
  private readonly open = new Set<Guarded>();
  private leaderlessSince: number | undefined;

  constructor(private readonly patienceMs: number) {}

  /** Opens a stream that is cut when the leader is missed for too long. */
  guard(method: StreamMethod, context: RequestContext, responses: ResponseStream): RequestStream {
    const release = (): void => void this.open.delete(guarded);
    const guarded: Guarded = {
      cut: () => {
        requests.cancel();
        responses.end(ProtocolError.of('NoLeader'));
      },
    };
    const requests = method.open(context, releasing(responses, release));
    this.open.add(guarded);
    return {
      message: (request) => requests.message(request),
      halfClose: () => requests.halfClose(),
      cancel: () => {
        release();
        requests.cancel();
      },
    };
  }

  tick(leader: bigint, nowMs: number): void {
    if (leader !== 0n) {
      this.leaderlessSince = undefined;
      return;
    }
    this.leaderlessSince ??= nowMs;
    if (this.open.size === 0 || nowMs - this.leaderlessSince < this.patienceMs) return;
    const all = [...this.open];
    this.open.clear();
    for (const { cut } of all) cut();
  }
}

/** The same stream, which says so when it ends. */
function releasing(responses: ResponseStream, release: () => void): ResponseStream {
  const { sendFramed } = responses;
  return {
    send: (message) => responses.send(message),
    ...(sendFramed !== undefined && { sendFramed }),
    end: (error) => {
      release();
      responses.end(error);
    },
    get onDrain() {
      return responses.onDrain;
    },
    set onDrain(callback) {
      responses.onDrain = callback;
    },
  };
}
