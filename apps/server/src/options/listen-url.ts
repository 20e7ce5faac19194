import { isIPv4, isIPv6 } from 'node:net';

/** One `http://host:port` or `https://host:port`, the only form in which etcd's flags name an address. */
export interface HostUrl {
  readonly scheme: 'http' | 'https';
  /** Name or address; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** As given, without a trailing slash: the text that is hashed into ids and shown to clients. */
  readonly text: string;
}

const shape = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)(.*)$/;
const authority = /^(\[[0-9a-fA-F:.]+(?:%25[\w.-]+)?\]|[^:@[\]]*):(\d{1,5})$/;

/**
 * Reads one URL.
 *
 * @returns The parts, or a sentence that says what is wrong with the text.
 */
export function parseHostUrl(given: string): HostUrl | string {
  const match = shape.exec(given.trim());
  if (match === null) return `"${given}" is not a URL of the form http://host:port`;
  const [, scheme = '', hostPort = '', path = ''] = match;
  if (scheme === 'unix' || scheme === 'unixs')
    return `"${given}": unix sockets are not supported, use http://host:port`;
  if (scheme !== 'http' && scheme !== 'https') return `"${given}": the scheme must be http or https`;
  if (path !== '' && path !== '/') return `"${given}": the URL must not have a path`;
  const parts = authority.exec(hostPort);
  if (parts === null) return `"${given}": the address does not have the form host:port`;
  const port = Number(parts[2]);
  if (port > 65_535) return `"${given}": a port is at most 65535`;
  const host = (parts[1] ?? '').replace(/^\[|\]$/g, '');
  return { scheme, host, port, text: `${scheme}://${hostPort}` };
}

/** Whether only processes of this machine reach an address: `localhost` and the loopback addresses. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost' || host.toLowerCase().endsWith('.localhost')) return true;
  if (isIPv4(host)) return host.startsWith('127.');
  return isIPv6(host) && (/^(0*:)*0*1$/.test(host) || /^::ffff:127\./i.test(host));
}

export function isAddress(host: string): boolean {
  return isIPv4(host) || isIPv6(host.replace(/%25.*$/, ''));
}

/** The address to bind: `localhost` means 127.0.0.1, as for a Go server, and an empty host means every interface. */
export function bindAddress(url: HostUrl): string {
  if (url.host === '') return '::';
  return url.host.toLowerCase() === 'localhost' ? '127.0.0.1' : url.host.replace('%25', '%');
}
