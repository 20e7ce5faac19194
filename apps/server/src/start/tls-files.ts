import { readFileSync } from 'node:fs';
import { type ClientTlsOptions, type ServerTlsOptions } from '@conclave/grpc';
import { type ServerOptions, type TlsOptions } from '../options/server-options.js';

const tlsVersions = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' } as const;

/** What a listener needs of the certificate files. @throws the system's error when one cannot be read. */
export function readServerTls(
  tls: TlsOptions,
  { tlsMinVersion, tlsMaxVersion }: Pick<ServerOptions, 'tlsMinVersion' | 'tlsMaxVersion'>,
): ServerTlsOptions {
  return {
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    ...(tls.trustedCaFile === '' ? {} : { ca: readFileSync(tls.trustedCaFile) }),
    requireClientCertificate: tls.clientCertAuth,
    minVersion: tlsVersions[tlsMinVersion],
    ...(tlsMaxVersion === '' ? {} : { maxVersion: tlsVersions[tlsMaxVersion] }),
  };
}

/** What connecting to other members needs: this member's own certificate, and whom to trust. @throws as above. */
export function readClientTls(tls: TlsOptions | undefined): ClientTlsOptions {
  if (tls === undefined) return {};
  return {
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    ...(tls.trustedCaFile === '' ? {} : { ca: readFileSync(tls.trustedCaFile) }),
  };
}
