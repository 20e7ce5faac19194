import { InvalidArgumentError } from '../errors.js';

/** Where a member listens for clients. */
export interface EndpointAddress {
  readonly host: string;
  readonly port: number;
  /** Undefined when the endpoint has none: encrypted when the client has TLS options. */
  readonly scheme: 'http' | 'https' | undefined;
}

const defaultPort = 2_379;

/**
 * Reads `http://host:port`, `https://host:port` or `host:port`; IPv6 addresses stand in brackets; the default port is
 * etcd's, 2379.
 *
 * @throws InvalidArgumentError for anything else.
 */
export function parseEndpoint(endpoint: string): EndpointAddress {
  const match = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?\/?$/.exec(endpoint);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  const host = match?.[2];
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(
      `endpoints: ${JSON.stringify(endpoint)} is no address; write 'http://host:port', 'https://host:port' or 'host:port'`,
    );
  }
  const scheme = match?.[1] as 'http' | 'https' | undefined;
  return { host: host.replace(/^\[|\]$/g, ''), port, scheme };
}
