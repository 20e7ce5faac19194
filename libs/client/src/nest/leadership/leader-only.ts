import { type Leadership } from '../../concurrency/leadership.js';
import { NotLeaderError } from '../../errors.js';
import { type AsyncMethod, type MethodCall, type Skippable, wrapMethod } from '../methods/wrapped-method.js';
import { connectionsOf } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { joinElection } from './join-election.js';

/** What a follower does instead. */
export interface FollowerContext {
  readonly election: string;
  /** What the leader proclaims; null when nobody is known to lead. */
  readonly leader: string | null;
  readonly args: readonly unknown[];
}

export interface LeaderOnlyOptions {
  /** `skip` (default) gives undefined; `throw` rejects with NotLeaderError; a function is called instead, with the same `this`. */
  readonly onFollower?: 'skip' | 'throw' | ((context: FollowerContext) => unknown);
  /** The connection; default `default`. */
  readonly connection?: string;
}

type Decorated = <M extends AsyncMethod>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

type DecoratedSkippable = <M extends AsyncMethod>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M> & Skippable<M>,
) => void;

/**
 * Only while this application leads, the async method is called. {@link LeaderSignal} gives it a signal to end by. A leader that is to
 * resign waits for it, within the drain; when the leadership is over before it has settled, the call rejects with LeadershipLostError, also
 * when it returns all the same.
 *
 * @throws InvalidArgumentError, when the class is declared, for a method that returns no promise.
 */
export function LeaderOnly(
  election: string,
  options: LeaderOnlyOptions & {
    readonly onFollower: Exclude<LeaderOnlyOptions['onFollower'], 'skip' | undefined>;
  },
): Decorated;
export function LeaderOnly(election: string, options?: LeaderOnlyOptions): DecoratedSkippable;
export function LeaderOnly(election: string, options: LeaderOnlyOptions = {}): Decorated {
  const { onFollower = 'skip', connection } = options;
  return (target, key, descriptor) => {
    const method = wrapMethod('@LeaderOnly', target, key, descriptor, async (call, { title }) => {
      const { roles, work } = applicationOf(connectionsOf(call.instance));
      const { leadership, leader } = roles.join(election, connection);
      if (leadership !== undefined) return work.track(underLeadership(leadership, call));
      if (onFollower === 'skip') return undefined;
      if (onFollower !== 'throw')
        return onFollower.call(call.instance, { election, leader, args: call.args });
      throw new NotLeaderError(
        `${title} is for the leader of '${election}', and this process does not lead`,
        leader,
      );
    });
    joinElection({ election, connection }, method);
  };
}

/**
 * Calls what is wrapped as the leader.
 *
 * @throws LeadershipLostError (rejects) when the leadership ended before it has settled.
 */
export async function underLeadership(leadership: Leadership, call: MethodCall): Promise<unknown> {
  const { stopping } = leadership;
  const running = leadership.runWithin(() => call.proceed({ leaderSignal: stopping, stopSignal: stopping }));
  leadership.waitUntil(running);
  const result = await running;
  // A stall may have kept every timer from firing: the clock has the last word.
  leadership.assertHeld();
  return result;
}
