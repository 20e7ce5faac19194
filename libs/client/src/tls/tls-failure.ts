import { TlsError, type TlsProblem } from '../errors.js';

const authorityCodes: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
]);

const remedies: Readonly<Record<Exclude<TlsProblem, 'files'>, string>> = {
  expired: 'renew the certificate of the member, or check the clock of this machine',
  'wrong-host': 'dial a name that the certificate is for, or give tls.serverName',
  'unknown-authority': 'give the authority that signed it as tls.ca or tls.caFile',
  'client-certificate':
    'give tls.cert and tls.key (or certFile and keyFile) signed by an authority that the member trusts',
  'not-tls': 'write http:// if it is meant to be unencrypted',
};

/** The error of a connection that failed for a reason of TLS, with the remedy; undefined for all other reasons. */
export function tlsFailure(error: unknown, endpoint: string): TlsError | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof TlsError) return at;
    const problem = problemOf(at);
    if (problem === undefined) continue;
    return new TlsError(problem, `${endpoint}: ${at.message.trim()}; ${remedies[problem]}`, {
      cause: error,
      endpoint,
    });
  }
  return undefined;
}

function problemOf(error: Error): Exclude<TlsProblem, 'files'> | undefined {
  const { message } = error;
  // Errors of calls have a number there.
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return 'expired';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'wrong-host';
  if (authorityCodes.has(code)) return 'unknown-authority';
  // What OpenSSL says comes with a code of its own when it was read, and as EPROTO with the text when it was written.
  const said = code === 'EPROTO' ? message : code.replaceAll('_', ' ');
  if (/alert .*certificate|alert unknown ca|alert access denied/i.test(said)) return 'client-certificate';
  if (/wrong version number|packet length too long/i.test(said)) return 'not-tls';
  return undefined;
}
