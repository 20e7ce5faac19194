import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Logger } from '../engine/platform/logger.js';
import { type HttpFront } from '../http-api/http-front.js';
import { parseHostUrl } from '../options/listen-url.js';
import { type ServerOptions } from '../options/server-options.js';
import { ClientPorts } from './client-ports.js';
import { explainListenError, ListenError, type ListenFlag } from './listen-error.js';
import { PeerPorts } from './peer-ports.js';

const logger = { warn: () => undefined } as unknown as Logger;
const open: (() => unknown)[] = [];

afterEach(() => Promise.all(open.splice(0).map((close) => close())));

async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as { port: number }).port;
}

/** What a member says that is to listen at these addresses. */
async function answer(urls: Partial<Record<ListenFlag, string>>): Promise<unknown> {
  const of = (flag: ListenFlag): unknown[] => (urls[flag] === undefined ? [] : [parseHostUrl(urls[flag])]);
  const options = {
    listenClientUrls: of('listen-client-urls'),
    listenClientHttpUrls: of('listen-client-http-urls'),
    listenMetricsUrls: of('listen-metrics-urls'),
    listenPeerUrls: of('listen-peer-urls'),
  } as unknown as ServerOptions;
  try {
    open.push(await ClientPorts.open(options, {} as HttpFront, logger).then((ports) => () => ports.close()));
    open.push(await PeerPorts.open(options, logger).then((ports) => () => ports.close()));
    return 'listens';
  } catch (error) {
    return error;
  }
}

describe('an address that cannot be listened on', () => {
  it.each([
    ['listen-client-urls', / --listen-client-urls and --advertise-client-urls with another port/],
    ['listen-client-http-urls', / --listen-client-http-urls with another port/],
    ['listen-metrics-urls', / --listen-metrics-urls with another port/],
    ['listen-peer-urls', / --listen-peer-urls and --initial-advertise-peer-urls with another port/],
  ] as const)('because it is in use is named with its flag and a remedy (%s)', async (flag, remedy) => {
    const url = `http://127.0.0.1:${await takenPort()}`;
    const error = await answer({ [flag]: url });
    expect(error).toBeInstanceOf(ListenError);
    expect(error).toMatchObject({ code: 'EADDRINUSE' });
    expect(String(error)).toContain(`--${flag}: ${url} is in use`);
    expect(String(error)).toMatch(remedy);
  });

  it('because it is of another machine is named, too', async () => {
    // Of a network that is reserved for documentation.
    const error = await answer({ 'listen-client-urls': 'http://192.0.2.1:2379' });
    expect(error).toMatchObject({ name: 'ListenError', code: 'EADDRNOTAVAIL' });
    expect(String(error)).toContain('--listen-client-urls: 192.0.2.1 is not an address of this machine');
  });

  it('because the process may not is named, too', () => {
    const url = parseHostUrl('http://127.0.0.1:80');
    if (typeof url === 'string') throw new Error(url);
    const cause = Object.assign(new Error('listen EACCES'), { code: 'EACCES' });
    const error = explainListenError(cause, 'listen-peer-urls', url);
    expect(String(error)).toMatch(
      /--listen-peer-urls: this process may not listen on http:\/\/127.0.0.1:80; .*higher port/,
    );
    expect(error).toMatchObject({ code: 'EACCES' });
  });

  it('for a reason that has nothing to do with it is left as it is', () => {
    const url = parseHostUrl('http://127.0.0.1:80');
    if (typeof url === 'string') throw new Error(url);
    for (const error of [
      new Error('no certificate'),
      Object.assign(new Error('x'), { code: 'EMFILE' }),
      'text',
    ]) {
      expect(explainListenError(error, 'listen-client-urls', url)).toBe(error);
    }
  });
});
