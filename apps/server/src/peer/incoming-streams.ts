import { type StreamCall } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { type Introduction } from './introduction.js';
import { type Lane } from './message-kinds.js';

/** Another member that has a stream open here. */
interface Caller {
  readonly peerUrls: readonly string[];
  /** Never empty. */
  readonly streams: Map<Lane, StreamCall>;
  /** While somebody with other URLs calls under the same id: since when, and when it did so last. */
  contest: { readonly since: number; last: number } | undefined;
}

/**
 * What is known of a caller whose id is in use by a process with other peer URLs:
 * - `undecided`: the process that had the id may be dead without its connections having broken yet;
 * - `proven`: it lives, so that two processes use the id.
 */
export type Contest = 'undecided' | 'proven';

/**
 * The open streams of messages of other members.
 *
 * Two processes with the same id are told apart by the peer URLs that they give. A connection that is silent for
 * `silenceMs` is closed by its keepalive. So an older stream that is still open when it was contested for so long has
 * been heard of in the meantime: its process lives.
 *
 * Invariant: all streams of one member have the same peer URLs.
 */
export class IncomingStreams {
  readonly #callers = new Map<MemberId, Caller>();

  constructor(
    private readonly now: () => number,
    private readonly silenceMs: number,
  ) {}

  /** The peer URLs under which a member has streams open; undefined when it has none. */
  urlsOf(member: MemberId): readonly string[] | undefined {
    return this.#callers.get(member)?.peerUrls;
  }

  /** What comes of a call under an id that is in use at other URLs; undefined when it is not. */
  contest({ from, peerUrls }: Introduction): Contest | undefined {
    const caller = this.#callers.get(from);
    if (caller === undefined || isSameUrls(caller.peerUrls, peerUrls)) return undefined;
    const now = this.now();
    // Who stops calling for so long has given up; what comes later may have another reason.
    if (caller.contest === undefined || now - caller.contest.last > this.silenceMs) {
      caller.contest = { since: now, last: now };
    }
    caller.contest.last = now;
    return now - caller.contest.since > this.silenceMs ? 'proven' : 'undecided';
  }

  /** Takes a stream, and returns those that it takes the place of: a member that connects anew has lost the one before. */
  add({ from, lane, peerUrls }: Introduction, call: StreamCall): readonly StreamCall[] {
    const caller = this.#callers.get(from);
    if (caller === undefined || !isSameUrls(caller.peerUrls, peerUrls)) {
      this.#callers.set(from, { peerUrls, streams: new Map([[lane, call]]), contest: undefined });
      return caller === undefined ? [] : [...caller.streams.values()];
    }
    const before = caller.streams.get(lane);
    caller.streams.set(lane, call);
    return before === undefined ? [] : [before];
  }

  /** The stream ended. Without effect when another one has taken its place. */
  delete({ from, lane }: Introduction, call: StreamCall): void {
    const caller = this.#callers.get(from);
    if (caller?.streams.get(lane) !== call) return;
    caller.streams.delete(lane);
    if (caller.streams.size === 0) this.#callers.delete(from);
  }

  /** Gives up all streams of the members that `isMeant` names, and returns them. */
  take(isMeant: (member: MemberId) => boolean): readonly StreamCall[] {
    const taken: StreamCall[] = [];
    for (const [member, { streams }] of this.#callers) {
      if (!isMeant(member)) continue;
      this.#callers.delete(member);
      taken.push(...streams.values());
    }
    return taken;
  }
}

/** Whether two members say that they are reached at the same URLs; `localhost` and 127.0.0.1 are the same. */
export function isSameUrls(left: readonly string[], right: readonly string[]): boolean {
  const normal = (urls: readonly string[]): string =>
    urls
      .map((url) => url.toLowerCase().replace(/\/$/, '').replace('://localhost:', '://127.0.0.1:'))
      .sort()
      .join(' ');
  return normal(left) === normal(right);
}
