import { isAddress, isLoopback } from '../options/listen-url.js';

export interface AccessRules {
  /** Origins whose pages may call; undefined for the default rule, `*` for all. */
  readonly cors: readonly string[];
  /** Host names that requests may be addressed to; undefined for the default rule, `*` for all. */
  readonly hostWhitelist: readonly string[];
  /** Names that this member is known by: the hosts of the URLs that it listens on and advertises. */
  readonly ownHosts: readonly string[];
  /** Whether only processes of this machine reach it. */
  readonly isLoopbackOnly: boolean;
}

/** What the policy looks at. Header values as they came. */
export interface AccessRequest {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly isTls: boolean;
}

export type AccessDecision =
  | {
      readonly kind: 'allowed';
      /** Value for `Access-Control-Allow-Origin`. */ readonly allowOrigin: string | undefined;
    }
  | { readonly kind: 'wrong-host' | 'wrong-origin' };

/**
 * Keeps web pages out that a browser of this machine or network happens to show (CVE-2018-1098, CVE-2018-1099): a page
 * may call only from an origin that we know, and a name that an attacker's DNS points to us is not one of our names.
 * Programs send no `Origin` and are not restricted by it.
 */
export class AccessPolicy {
  readonly #ownHosts: ReadonlySet<string>;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor(private readonly rules: AccessRules) {
    this.#ownHosts = new Set(rules.ownHosts.map((host) => host.toLowerCase()));
    this.#hosts = new Set(rules.hostWhitelist.map((host) => host.toLowerCase()));
    this.#origins = new Set(rules.cors.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
  }

  decide({ host, origin, isTls }: AccessRequest): AccessDecision {
    const name = hostName(host);
    if (!isTls && !this.#allowsHost(name)) return { kind: 'wrong-host' };
    if (origin === undefined)
      return { kind: 'allowed', allowOrigin: this.#origins.has('*') ? '*' : undefined };
    if (this.#origins.has('*')) return { kind: 'allowed', allowOrigin: '*' };
    const isAllowed =
      this.#origins.has(origin.toLowerCase()) || this.#allowsOriginByDefault(origin, host, name);
    return isAllowed ? { kind: 'allowed', allowOrigin: origin } : { kind: 'wrong-origin' };
  }

  #allowsHost(name: string | undefined): boolean {
    if (this.#hosts.has('*')) return true;
    // HTTP/1.0 and probes come without a Host; a browser never does.
    if (name === undefined) return true;
    if (this.#hosts.size > 0) return this.#hosts.has(name) || this.#isOwn(name);
    return !this.rules.isLoopbackOnly || this.#isOwn(name) || isAddress(name);
  }

  #isOwn(name: string): boolean {
    return isLoopback(name) || this.#ownHosts.has(name);
  }

  /** Without `--cors`: pages of this machine, and pages that came from this member itself under a name that is surely its own. */
  #allowsOriginByDefault(origin: string, host: string | undefined, name: string | undefined): boolean {
    if (this.#origins.size > 0) return false;
    const authority = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase();
    const originName = hostName(authority);
    if (authority === undefined || originName === undefined) return false;
    if (isLoopback(originName)) return true;
    const isSame = authority === host?.toLowerCase();
    return (
      isSame && name !== undefined && (isAddress(name) || this.#ownHosts.has(name) || this.#hosts.has(name))
    );
  }
}

/** The name of a Host header without its port and brackets, in lower case. */
function hostName(host: string | undefined): string | undefined {
  if (host === undefined || host === '') return undefined;
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  return (bracketed?.[1] ?? host.replace(/:\d*$/, '')).toLowerCase();
}
