import { choice, text, textList, toggle } from '../flag.js';

/** TLS on the client and the peer port, and which web pages and host names HTTP requests may come with. */
export const securityFlags = {
  certFile: text('cert-file', '', 'Path of the certificate that the client port shows (PEM).'),
  keyFile: text('key-file', '', 'Path of its private key (PEM).'),
  clientCertAuth: toggle(
    'client-cert-auth',
    false,
    'Clients must show a certificate signed by trusted-ca-file.',
  ),
  trustedCaFile: text('trusted-ca-file', '', 'Path of the authorities that sign client certificates (PEM).'),
  peerCertFile: text(
    'peer-cert-file',
    '',
    'Path of the certificate that this member shows to other members, as a server and as a client (PEM).',
  ),
  peerKeyFile: text('peer-key-file', '', 'Path of its private key (PEM).'),
  peerClientCertAuth: toggle(
    'peer-client-cert-auth',
    false,
    'Other members must show a certificate signed by peer-trusted-ca-file.',
  ),
  peerTrustedCaFile: text(
    'peer-trusted-ca-file',
    '',
    'Path of the authorities that sign certificates of members (PEM).',
  ),
  tlsMinVersion: choice(
    'tls-min-version',
    'TLS1.2',
    ['TLS1.2', 'TLS1.3'],
    'Lowest version of TLS that is accepted.',
  ),
  tlsMaxVersion: choice(
    'tls-max-version',
    '',
    ['', 'TLS1.2', 'TLS1.3'],
    'Highest version of TLS that is accepted.',
    {
      defaultNote: 'the highest there is',
    },
  ),
  cors: textList(
    'cors',
    '',
    'Origins whose web pages may use the HTTP API; * allows every page of every site.',
    {
      defaultNote: "the member's own and loopback origins",
    },
  ),
  hostWhitelist: textList(
    'host-whitelist',
    '',
    'Host names that HTTP requests without TLS may be addressed to; * allows all.',
    {
      defaultNote: 'on a loopback listener its own names, elsewhere all',
    },
  ),
} as const;
