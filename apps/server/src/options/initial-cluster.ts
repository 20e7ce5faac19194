import { type HostUrl, parseHostUrl } from './listen-url.js';

/** Peer URLs by member name, each list sorted; the order of names is as given. */
export type InitialCluster = ReadonlyMap<string, readonly string[]>;

/**
 * Reads `name=url,name=url`; a name that comes several times has several URLs.
 *
 * @param mistakes Receives a sentence for each pair that cannot be read.
 */
export function parseInitialCluster(text: string, mistakes: string[]): InitialCluster {
  const cluster = new Map<string, string[]>();
  for (const pair of text.split(',').map((part) => part.trim())) {
    if (pair === '') continue;
    const separator = pair.indexOf('=');
    const name = pair.slice(0, Math.max(separator, 0));
    if (name === '') {
      mistakes.push(`"${pair}" does not have the form name=http://host:port`);
      continue;
    }
    const url = parseHostUrl(pair.slice(separator + 1));
    if (typeof url === 'string') mistakes.push(url);
    else cluster.set(name, [...(cluster.get(name) ?? []), url.text].sort());
  }
  return cluster;
}

/** URLs of different members that are the same one; two members cannot share an address. */
export function sharedUrls(cluster: InitialCluster): readonly string[] {
  const owner = new Map<string, string>();
  const shared: string[] = [];
  for (const [name, urls] of cluster) {
    for (const url of urls) {
      if (owner.has(url)) shared.push(url);
      owner.set(url, name);
    }
  }
  return shared;
}

/** Whether two sets of URLs name the same addresses; `localhost` and 127.0.0.1 are the same. */
export function sameUrls(left: readonly string[], right: readonly Pick<HostUrl, 'text'>[]): boolean {
  const resolve = (url: string): string =>
    url.toLowerCase().replace(/^(https?:\/\/)localhost:/, '$1127.0.0.1:');
  const a = left.map(resolve).sort();
  const b = right.map(({ text }) => resolve(text)).sort();
  return a.length === b.length && a.every((url, index) => url === b[index]);
}
