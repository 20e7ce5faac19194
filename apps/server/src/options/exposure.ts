import { type Notice } from './given.js';
import { type HostUrl, isLoopback } from './listen-url.js';
import { type ServerOptions } from './server-options.js';

/** The URLs on which other machines reach this server without TLS. */
export function exposedUrls(
  options: Pick<ServerOptions, 'listenClientUrls' | 'listenClientHttpUrls'>,
): readonly HostUrl[] {
  return [...options.listenClientUrls, ...options.listenClientHttpUrls].filter(
    (url) => url.scheme === 'http' && !isLoopback(url.host),
  );
}

/** Warnings about options that are allowed and dangerous. */
export function exposureNotices(options: ServerOptions): Notice[] {
  const notices: Notice[] = [];
  const warn = (text: string): void => void notices.push({ level: 'warn', text });
  const exposed = exposedUrls(options);
  if (exposed.length > 0) {
    const urls = exposed.map(({ text }) => text).join(', ');
    warn(
      `INSECURE: ${urls} can be reached from other machines without TLS: everybody there can read and change everything. ` +
        'Give --cert-file and --key-file with https:// URLs and enable authentication, or listen on localhost only.',
    );
  } else if (options.tls !== undefined && !options.clientCertAuth) {
    warn(
      'clients are not asked for certificates; unless authentication is enabled, whoever reaches the client port may do everything',
    );
  }
  if (options.tls !== undefined) {
    for (const url of options.listenClientUrls.filter(({ scheme }) => scheme === 'http')) {
      warn(`--cert-file and --key-file are not used for ${url.text}, whose scheme is http`);
    }
  }
  warnOfPeers(options, warn);
  if (options.maxRequestBytes > 10_485_760)
    warn('--max-request-bytes above 10485760 is not advised: large requests delay all others');
  if (options.quotaBytes !== undefined && options.quotaBytes > 8 * 1024 ** 3) {
    warn('--quota-backend-bytes above 8 GiB is not advised for a store that every member holds');
  }
  for (const url of options.advertiseClientUrls.filter(({ host }) => host === '0.0.0.0' || host === '::')) {
    warn(`--advertise-client-urls contains ${url.text}, which other machines cannot reach`);
  }
  return notices;
}

/** Whoever speaks to the peer port as a member can change everything. */
function warnOfPeers({ listenPeerUrls, peerTls }: ServerOptions, warn: (text: string) => void): void {
  const exposed = listenPeerUrls.filter((url) => url.scheme === 'http' && !isLoopback(url.host));
  if (exposed.length > 0) {
    const urls = exposed.map(({ text }) => text).join(', ');
    warn(
      `INSECURE: members are reached at ${urls} without TLS: everybody there can pass for a member and change everything. ` +
        'Give --peer-cert-file, --peer-key-file, --peer-trusted-ca-file and --peer-client-cert-auth with https:// URLs.',
    );
  } else if (peerTls !== undefined && !peerTls.clientCertAuth) {
    warn(
      'members are not asked for certificates; whoever reaches the peer port can pass for one. Give --peer-client-cert-auth.',
    );
  }
}
