import { type etcdserverpb, GrpcStatus, protocolErrorNamed } from '@conclave/protocol';
import { type Tokens } from '../auth/tokens.js';
import { type ClientWarning } from '../host.js';
import { tlsFailure } from '../tls/tls-failure.js';
import { type TlsSource } from '../tls/tls-source.js';
import { TransportError, type TransportFactory } from '../transport.js';
import { parseEndpoint } from './endpoint.js';
import { Link } from './link.js';
import { type StoreIdentity } from './store-identity.js';

export interface DialerOptions {
  readonly transports: TransportFactory;
  /** How long one member may take to answer the first question, in milliseconds. */
  readonly dialTimeoutMs: number;
  readonly keepalive: { readonly timeMs: number; readonly timeoutMs: number };
  readonly tls: TlsSource;
  readonly tokens: Tokens;
  readonly warn: (warning: ClientWarning) => void;
}

/** What a member can do for the client, the best first. */
const kinds = ['usable', 'leaderless', 'learner', 'foreign'] as const;

/**
 * A connection to a member that answered. `leaderless`: it knows no leader now. `learner`: it has no vote and serves
 * serializable reads only. `foreign`: of another cluster than the one that was seen.
 */
export interface Dialled {
  readonly kind: (typeof kinds)[number];
  readonly link: Link;
  /** Undefined when the member does not tell it to this user. */
  readonly status: etcdserverpb.StatusResponse | undefined;
}

export function isBetter(a: Dialled, b: Dialled | undefined): boolean {
  return b === undefined || kinds.indexOf(a.kind) < kinds.indexOf(b.kind);
}

/** Loopback addresses, which nobody else listens to. */
const ownMachine = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** Makes connections to members and finds out what they are. */
export class Dialer {
  private readonly warnings = new Set<string>();

  constructor(private readonly options: DialerOptions) {}

  /** @throws TlsError, or TransportError for every other failure (rejects). */
  async dial(
    endpoint: string,
    identity: StoreIdentity,
    onLost: (link: Link, error: Error) => void,
  ): Promise<Dialled> {
    let link: Link | undefined;
    try {
      link = await this.open(endpoint, (error) => {
        if (link !== undefined) onLost(link, error);
      });
      const status = await this.probe(link);
      return { kind: kindOf(status, identity), link, status };
    } catch (caught) {
      link?.close();
      throw this.explained(caught, endpoint);
    }
  }

  /** Asks the member for its status, on a connection of its own. @throws as {@link dial} */
  async ask(endpoint: string, timeoutMs: number): Promise<etcdserverpb.StatusResponse> {
    let link: Link | undefined;
    try {
      link = await this.open(endpoint, () => undefined);
      return await link.probe(timeoutMs, this.options.tokens.metadata);
    } catch (caught) {
      throw this.explained(caught, endpoint);
    } finally {
      link?.close();
    }
  }

  /** A sign of life; undefined from a member that is alive and does not tell this user anything. */
  async probe(link: Link): Promise<etcdserverpb.StatusResponse | undefined> {
    const { dialTimeoutMs, tokens } = this.options;
    try {
      return await link.probe(dialTimeoutMs, tokens.metadata);
    } catch (error) {
      if (error instanceof TransportError && isRefused(error)) return undefined;
      throw error;
    }
  }

  private async open(endpoint: string, onLost: (error: Error) => void): Promise<Link> {
    const { transports, keepalive, tls, tokens } = this.options;
    const { host, scheme } = parseEndpoint(endpoint);
    const options = scheme === 'http' ? undefined : await tls.next();
    const isClear = scheme === 'http' || (scheme === undefined && options === undefined);
    if (isClear && tokens.areUsed && !ownMachine.test(host)) {
      const message = `auth: the connection to ${endpoint} is not encrypted, so others can read the credentials; use https://`;
      this.warnOnce({ code: 'credentials-in-clear', message });
    }
    return new Link(endpoint, transports, {
      keepalive,
      onLost,
      ...(options === undefined ? {} : { tls: options }),
    });
  }

  private explained(caught: unknown, endpoint: string): Error {
    const failure = tlsFailure(caught, endpoint);
    if (failure !== undefined) {
      this.warnOnce({ code: 'tls-failed', message: failure.message });
      return failure;
    }
    return caught instanceof Error ? caught : new TransportError(GrpcStatus.Unknown, String(caught), true);
  }

  private warnOnce(warning: ClientWarning): void {
    if (this.warnings.has(warning.message)) return;
    this.warnings.add(warning.message);
    this.options.warn(warning);
  }
}

function kindOf(status: etcdserverpb.StatusResponse | undefined, identity: StoreIdentity): Dialled['kind'] {
  if (status === undefined) return 'usable';
  if (!identity.matches(status.header?.cluster_id ?? 0n)) return 'foreign';
  if (status.isLearner) return 'learner';
  return status.leader === 0n ? 'leaderless' : 'usable';
}

/** The member wants a token, or another one: it is alive, and calls will find out. */
function isRefused(error: TransportError): boolean {
  const reason = protocolErrorNamed(error.message);
  return (
    reason === 'InvalidAuthToken' ||
    reason === 'AuthOldRevision' ||
    reason === 'UserEmpty' ||
    reason === 'PermissionDenied'
  );
}
