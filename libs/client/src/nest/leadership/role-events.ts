import { type Leadership } from '../../concurrency/leadership.js';
import { InvalidArgumentError, type LossReason } from '../../errors.js';
import { addToMethod } from '../methods/wrapped-method.js';
import { registerFeature } from '../module/explorer.js';
import { applicationOf } from '../shutdown/application.js';
import { type NamedElection } from './join-election.js';
import { type RoleEvent } from './role-listener.js';

/** How a leadership ended. `closed`: its work did not come to its end in time at shutdown. */
export type Deposition = LossReason | 'resigned';

export interface RoleEventOptions {
  /** The connection; default `default`. */
  readonly connection?: string;
}

interface Handler extends NamedElection {
  readonly event: RoleEvent;
}

const key = Symbol.for('@conclave/client/nest/role-events');

type HandlerDecorator<News> = <M extends (news: News) => unknown>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

function handler<News>(
  decorator: string,
  event: RoleEvent,
  election: string,
  options: RoleEventOptions,
): HandlerDecorator<News> {
  return (_target, name, { value }) => {
    if (value === undefined)
      throw new InvalidArgumentError(`${decorator} on ${String(name)}: it belongs on a method`);
    addToMethod<Handler>(key, { event, election, connection: options.connection }, value);
  };
}

/**
 * The method is called with the Leadership each time that this application is elected, from its start on. A leader that is to resign
 * waits for the method to end, within the drain. What it throws is logged, and it leads all the same.
 */
export function OnElected(election: string, options: RoleEventOptions = {}): HandlerDecorator<Leadership> {
  return handler('@OnElected', 'elected', election, options);
}

/**
 * The method is called with the way in which a leadership ended: once for each that `@OnElected` methods of the same instance were told of,
 * after they have settled (or the drain is over), and before the next. What it throws is logged.
 */
export function OnDeposed(election: string, options: RoleEventOptions = {}): HandlerDecorator<Deposition> {
  return handler('@OnDeposed', 'deposed', election, options);
}

registerFeature<readonly Handler[]>({
  key,
  onlyStatic: '@OnElected and @OnDeposed',
  bind: ({ instance, methodName, metadata, connections }) => {
    const { roles } = applicationOf(connections);
    for (const { event, election, connection } of metadata)
      roles.join(election, connection).listener(instance).add(event, methodName);
  },
});
