import { type IncomingHttpHeaders } from 'node:http';
import { type RequestContext } from '../engine/requests/method.js';

/** gRPC metadata arrives over HTTP in headers with this prefix. */
const metadataPrefix = 'grpc-metadata-';

/**
 * What a method learns of a caller over HTTP. The token is the `Authorization` header, with or without `Bearer `.
 * A client certificate is deliberately no identity here: whoever terminates TLS in between would lend out its own.
 */
export function contextOf(headers: IncomingHttpHeaders): RequestContext {
  const authorization = headers.authorization ?? single(headers[`${metadataPrefix}token`]);
  return {
    token: authorization?.replace(/^Bearer +/i, ''),
    requireLeader: single(headers[`${metadataPrefix}hasleader`]) === 'true',
    onCancel: undefined,
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** The longest delay that a timer takes; a longer wait is no deadline at all. */
const timerMsMax = 2_147_483_647;

/** Milliseconds of a `Grpc-Timeout` header (`5S`, `100m`); undefined when there is none, or none that matters. */
export function timeoutOf(headers: IncomingHttpHeaders): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(single(headers['grpc-timeout']) ?? '');
  if (match === null) return undefined;
  const milliseconds = Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  return milliseconds > timerMsMax ? undefined : milliseconds;
}
