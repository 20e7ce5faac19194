import { Buffer } from 'node:buffer';
import { createSecureContext } from 'node:tls';
import { type Duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { type TlsOptions } from '../transport.js';

/**
 * Certificates in PEM files, for endpoints that start with `https://` or have no scheme. They are read again whenever a
 * connection is made and every `reloadEvery`; connections made after a change use the new ones. Files that cannot be used
 * leave the last good ones in use, with a warning.
 */
export interface TlsFiles {
  /** Authorities to trust; the system's when absent. */
  readonly caFile?: string;
  /** The client's own certificate and key, for servers that ask for them. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name to expect in the server's certificate, when it is not the host of the endpoint. */
  readonly serverName?: string;
  /** Default 1 minute. */
  readonly reloadEvery?: Duration;
}

const fileOptions = ['caFile', 'certFile', 'keyFile'] as const;
const pemOptions = ['ca', 'cert', 'key'] as const;

export function areFiles(tls: TlsOptions | TlsFiles): tls is TlsFiles {
  return fileOptions.some((name) => name in tls) || 'reloadEvery' in tls;
}

/** @throws InvalidArgumentError for options that exclude each other, and for certificates and keys that cannot be used. */
export function checkTls(tls: TlsOptions | TlsFiles): void {
  const given: Partial<Record<(typeof fileOptions)[number] | (typeof pemOptions)[number], unknown>> = tls;
  const wrong: string[] = [];
  const isMixed = areFiles(tls) && pemOptions.some((name) => given[name] !== undefined);
  if (isMixed) wrong.push('give either files (caFile, certFile, keyFile) or their content (ca, cert, key)');
  const [cert, key] = areFiles(tls) ? (['certFile', 'keyFile'] as const) : (['cert', 'key'] as const);
  if ((given[cert] === undefined) !== (given[key] === undefined))
    wrong.push(`${cert} and ${key}: give both or none`);
  if (wrong.length === 0 && !areFiles(tls)) {
    const fault = faultOf(tls);
    if (fault !== undefined) wrong.push(fault);
  }
  if (wrong.length > 0) throw new InvalidArgumentError(`tls: ${wrong.join('; ')}`);
}

/** Why certificates and key cannot be used, in words; undefined when they can. */
export function faultOf({ ca, cert, key }: TlsOptions): string | undefined {
  const faults: string[] = [];
  for (const [name, pem] of Object.entries({ ca, cert })) {
    if (pem !== undefined && !Buffer.from(pem).includes('-----BEGIN ')) faults.push(`${name} is no PEM`);
  }
  if (faults.length > 0) return faults.join('; ');
  try {
    createSecureContext({
      ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
      ...(cert === undefined ? {} : { cert: Buffer.from(cert) }),
      ...(key === undefined ? {} : { key: Buffer.from(key) }),
    });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
