import { ProtocolError } from '@conclave/protocol';

/** scheme://host:port, as members listen to each other; hosts are names, IPv4 or [IPv6]. */
const peerUrl = /^(https?|unixs?):\/\/([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):(\d{1,5})$/;

/**
 * The peer URLs of a request, sorted, as etcd keeps them.
 *
 * @throws ProtocolError MemberBadURLs when there is none, or one is not scheme://host:port.
 */
export function normalisedUrls(urls: readonly string[]): string[] {
  const isGood = (url: string): boolean => {
    const port = Number(peerUrl.exec(url)?.[3] ?? Number.NaN);
    return port >= 0 && port <= 65_535;
  };
  const trimmed = urls.map((url) => url.trim());
  if (trimmed.length === 0 || !trimmed.every(isGood)) throw ProtocolError.of('MemberBadURLs');
  return trimmed.sort();
}
