import { etcdserverpb as pb, GrpcStatus, protocolErrorNamed } from '@conclave/protocol';
import { assert } from '../assert.js';
import { type Link } from '../connection/link.js';
import { isConclaveError, UnauthorizedError, UnavailableError } from '../errors.js';
import { type ClientWarning } from '../host.js';
import { type Clock } from '../runtime.js';
import { type Metadata, TransportError } from '../transport.js';
import { type Credentials, type Secret, secretOf } from './credentials.js';

const authenticatePath = '/etcdserverpb.Auth/Authenticate';
const firstHoldMs = 1_000;
const longestHoldMs = 30_000;

/** What a call carries to be let in. Compared by identity. */
export interface Authorization {
  /** Empty: none is needed. */
  readonly token: string;
  /** Of unary calls, the token included. */
  readonly metadata: Metadata;
}

export interface TokensOptions {
  /** Undefined: calls carry no token. */
  readonly credentials: Credentials | undefined;
  /** Of every call. */
  readonly metadata: Metadata;
  readonly clock: Clock;
  /** Bound of one login. */
  readonly timeoutMs: number;
  readonly warn: (warning: ClientWarning) => void;
  /** Told of a login that got no answer, whether or not somebody still waits for it. */
  readonly unanswered: (link: Link, error: TransportError) => void;
}

interface Refusal {
  readonly secret: Secret;
  readonly error: UnauthorizedError;
  readonly holdMs: number;
  /** On the monotonic clock: until then the same secret is not offered again. */
  readonly until: number;
}

/**
 * The token of this client, one for all its calls.
 *
 * Invariants: at most one login is under way (`renewing`); a token that was refused is never `current` again; the token
 * `proven` was accepted by a member since it was issued.
 */
export class Tokens {
  private current: Authorization | undefined;
  private proven: Authorization | undefined;
  private renewing: Promise<Authorization> | undefined;
  private refusal: Refusal | undefined;
  private lastRefusedToken: string | undefined;
  private hasWarned = false;

  constructor(private readonly options: TokensOptions) {
    if (options.credentials === undefined) this.current = { token: '', metadata: options.metadata };
  }

  /** True when calls are made in somebody's name. */
  get areUsed(): boolean {
    return this.options.credentials !== undefined;
  }

  /** The authorization in force, when there is one. Always, without credentials. */
  now(): Authorization | undefined {
    return this.current;
  }

  /** The metadata for a question that is asked with or without a token. */
  get metadata(): Metadata {
    return this.current?.metadata ?? this.options.metadata;
  }

  /**
   * The authorization in force, or one from a login on this link, shared by all who ask meanwhile.
   *
   * @throws UnauthorizedError (rejects) when the credentials are refused; UnavailableError when their function failed;
   *   TransportError, always as not sent, when the member did not answer.
   */
  on(link: Link): Promise<Authorization> {
    if (this.current !== undefined) return Promise.resolve(this.current);
    this.renewing ??= this.logIn(link).finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  /** A member answered a call that carried it. */
  accepted(used: Authorization): void {
    if (used !== this.proven && used === this.current) this.proven = used;
  }

  /**
   * Takes note of a failed call: `renewable`: its token was refused, another one may do; nothing was done. `refused`: so was
   * a token that had just been issued, so another one would be as well. `other`: it failed for another reason.
   */
  judge(used: Authorization, error: TransportError): 'renewable' | 'refused' | 'other' {
    if (!this.areUsed) return 'other';
    const reason = protocolErrorNamed(error.message);
    if (reason === 'PermissionDenied') this.accepted(used);
    const isRefused = reason === 'InvalidAuthToken' || reason === 'AuthOldRevision' || reason === 'UserEmpty';
    if (!isRefused) return 'other';
    if (used !== this.current) return 'renewable';
    this.current = undefined;
    this.lastRefusedToken = used.token;
    // A token from before the last change of the users and roles was good until then, and none at all was never refused.
    return reason === 'AuthOldRevision' || used.token === '' || used === this.proven
      ? 'renewable'
      : 'refused';
  }

  private async logIn(link: Link): Promise<Authorization> {
    const secret = await this.askForSecret();
    const { refusal } = this;
    if (
      refusal !== undefined &&
      isSame(refusal.secret, secret) &&
      this.options.clock.monotonic() < refusal.until
    ) {
      throw refusal.error;
    }
    const token =
      secret.username === undefined ? this.checkGiven(secret) : await this.authenticate(secret, link);
    this.refusal = undefined;
    const { metadata } = this.options;
    this.current = { token, metadata: token === '' ? metadata : { ...metadata, token } };
    return this.current;
  }

  private async askForSecret(): Promise<Secret> {
    const { credentials } = this.options;
    assert(credentials !== undefined, 'only a client with credentials logs in');
    try {
      return await secretOf(credentials);
    } catch (cause) {
      if (isConclaveError(cause)) throw cause;
      const what = 'token' in credentials ? 'auth.token' : 'auth.password';
      throw new UnavailableError(
        `${what} failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          cause,
        },
      );
    }
  }

  /** A function that goes on giving what was refused would make a loop of every call. */
  private checkGiven(secret: Secret): string {
    if (secret.text !== this.lastRefusedToken) return secret.text;
    throw this.refuse(
      secret,
      new UnauthorizedError('auth.token gave the token that the server has refused; give a valid one', {
        reason: 'InvalidAuthToken',
      }),
    );
  }

  private async authenticate(secret: Secret, link: Link): Promise<string> {
    const name = secret.username ?? '';
    const request = pb.AuthenticateRequest.encode({ name, password: secret.text }).finish();
    const { metadata, timeoutMs } = this.options;
    try {
      const bytes = await link.unary(authenticatePath, request, { metadata, timeoutMs });
      return pb.AuthenticateResponse.decode(bytes).token;
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      return this.notAuthenticated(secret, error, link);
    }
  }

  /** Gives the empty token where nobody has to log in. @throws UnauthorizedError, TransportError */
  private notAuthenticated(secret: Secret, error: TransportError, link: Link): string {
    const { endpoint } = link;
    const reason = protocolErrorNamed(error.message);
    if (reason === 'AuthNotEnabled' || error.code === GrpcStatus.Unimplemented) {
      this.warnOnce(endpoint);
      return '';
    }
    if (reason === 'AuthFailed' || reason === 'UserEmpty' || reason === 'PermissionDenied') {
      const message = `${endpoint} refused the user '${secret.username}': ${error.message}; check auth.username and auth.password`;
      throw this.refuse(secret, new UnauthorizedError(message, { cause: error, endpoint, reason }));
    }
    this.options.unanswered(link, error);
    // The call that needed the token was not sent, whatever became of the login.
    throw new TransportError(error.code, error.message, false, { cause: error });
  }

  private refuse(secret: Secret, error: UnauthorizedError): UnauthorizedError {
    const { refusal } = this;
    const isAgain = refusal !== undefined && isSame(refusal.secret, secret);
    const holdMs = isAgain ? Math.min(longestHoldMs, refusal.holdMs * 2) : firstHoldMs;
    this.refusal = { secret, error, holdMs, until: this.options.clock.monotonic() + holdMs };
    return error;
  }

  private warnOnce(endpoint: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.options.warn({
      code: 'auth-not-enabled',
      message: `auth: credentials were given, but ${endpoint} lets everybody in; enable authentication there`,
    });
  }
}

function isSame(a: Secret, b: Secret): boolean {
  return a.username === b.username && a.text === b.text;
}
