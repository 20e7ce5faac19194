import {
  type CanActivate,
  type ExecutionContext,
  HttpException,
  Inject,
  mixin,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { InvalidArgumentError, NotLeaderError } from '../../errors.js';
import { Connections } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { type LeaderRole } from './leader-role.js';

export interface LeaderGuardOptions {
  /** What a follower answers; default 503. */
  readonly status?: number;
  /** Answer with a redirect (307) to the URL that the leader proclaims, when it is known: the option `elections.advertiseUrl`. Default false. */
  readonly redirectToLeader?: boolean;
  /** Seconds until the caller may try again, with a status of 503 or 429; default 1. */
  readonly retryAfter?: number;
  /** The connection; default `default`. */
  readonly connection?: string;
}

/**
 * Lets a request pass only while this application leads, and makes it take part in the election. Followers answer with a status or redirect
 * to the leader, with the same path and query. Outside of HTTP it throws NotLeaderError.
 *
 * @throws InvalidArgumentError for a status that is no error.
 */
export function LeaderGuard(election: string, options: LeaderGuardOptions = {}): Type<CanActivate> {
  const { status = 503, redirectToLeader = false, retryAfter = 1, connection } = options;
  if (!Number.isInteger(status) || status < 400 || status > 599)
    throw new InvalidArgumentError(`LeaderGuard: status ${status} is none of an error, which are 400 to 599`);

  class LeaderGuardOfElection implements CanActivate, OnModuleInit {
    constructor(
      @Inject(Connections) private readonly connections: Connections,
      @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
    ) {}

    onModuleInit(): void {
      this.role();
    }

    canActivate(context: ExecutionContext): boolean {
      const role = this.role();
      if (role.leadership !== undefined) return true;
      const message = `this instance does not lead '${election}'`;
      if (context.getType() !== 'http') throw new NotLeaderError(message, role.leader);
      this.refuse(context, role, message);
    }

    private refuse(context: ExecutionContext, role: LeaderRole, message: string): never {
      const { httpAdapter } = this.http;
      const response: unknown = context.switchToHttp().getResponse();
      const leaderUrl = redirectToLeader ? this.otherUrl(role) : undefined;
      if (leaderUrl !== undefined) {
        const path = httpAdapter.getRequestUrl(context.switchToHttp().getRequest<unknown>()) as string;
        httpAdapter.setHeader(response, 'Location', leaderUrl + path);
        throw new HttpException({ statusCode: 307, message, leader: leaderUrl }, 307);
      }
      if (status === 503 || status === 429)
        httpAdapter.setHeader(response, 'Retry-After', String(retryAfter));
      throw new HttpException({ statusCode: status, message }, status);
    }

    /** A leadership of this very instance may just have ended: a redirect to itself would lead nowhere. */
    private otherUrl(role: LeaderRole): string | undefined {
      const { advertiseUrl } = this.connections.options(connection).elections ?? {};
      return role.leader === advertiseUrl ? undefined : urlOf(role.leader);
    }

    private role(): LeaderRole {
      return applicationOf(this.connections).roles.join(election, connection);
    }
  }
  return mixin(LeaderGuardOfElection);
}

/** Origin and path without a slash at its end, of a value that is a URL of a web server. */
function urlOf(proclaimed: string | null): string | undefined {
  if (proclaimed === null || !/^https?:\/\//i.test(proclaimed) || !URL.canParse(proclaimed)) return undefined;
  const { origin, pathname } = new URL(proclaimed);
  return origin + pathname.replace(/\/+$/, '');
}
