import { type HostUrl } from '../options/listen-url.js';

/** Flags that say where to listen, each with the one that tells others of the address, if there is one. */
const flags = {
  'listen-client-urls': 'advertise-client-urls',
  'listen-client-http-urls': undefined,
  'listen-metrics-urls': undefined,
  'listen-peer-urls': 'initial-advertise-peer-urls',
} as const;

export type ListenFlag = keyof typeof flags;

/** An address cannot be listened on; the message names the flag that asks for it, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';

  constructor(
    flag: ListenFlag,
    problem: string,
    /** The system's: `EADDRINUSE`, `EACCES` or `EADDRNOTAVAIL`. */
    readonly code: string,
  ) {
    super(`--${flag}: ${problem}`);
  }
}

/** Explains why an address of a flag cannot be listened on. Errors that are not of the address are returned as they are. */
export function explainListenError(error: unknown, flag: ListenFlag, url: HostUrl): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const { code } = error;
  const problem = problemOf(code, flag, url);
  return typeof code !== 'string' || problem === undefined ? error : new ListenError(flag, problem, code);
}

function problemOf(code: unknown, flag: ListenFlag, { text, host, port }: HostUrl): string | undefined {
  const advertised = flags[flag];
  const given = advertised === undefined ? `--${flag}` : `--${flag} and --${advertised}`;
  switch (code) {
    case 'EADDRINUSE':
      return (
        `${text} is in use, maybe by another member on this machine (\`ss -ltnp 'sport = :${port}'\` says by whom). ` +
        `Stop that process, or give ${given} with another port.`
      );
    case 'EACCES':
      return (
        `this process may not listen on ${text}; ports below 1024 are usually the administrator's. ` +
        `Give ${given} with a higher port, or grant the process CAP_NET_BIND_SERVICE.`
      );
    case 'EADDRNOTAVAIL':
      return (
        `${host} is not an address of this machine (\`ip address\` lists them). Give --${flag} one of them, or ` +
        `0.0.0.0 for all${advertised === undefined ? '' : `; where others reach this one, --${advertised} says`}.`
      );
    default:
      return undefined;
  }
}
