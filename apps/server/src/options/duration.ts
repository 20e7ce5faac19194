const millisecondsOf: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const segment = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/;

/**
 * Reads a duration as etcd's flags write it: decimal numbers with units, largest first by habit (`1h30m`, `1.5s`,
 * `100ms`), or a plain `0`. The units are ns, us, ms, s, m and h.
 *
 * @returns Milliseconds, with a fraction where the text has one; undefined when the text is not a duration.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  let rest = text.startsWith('+') ? text.slice(1) : text;
  const negative = rest.startsWith('-');
  if (negative) rest = rest.slice(1);
  if (rest === '' || rest.length > 100) return undefined;
  let total = 0;
  while (rest !== '') {
    const match = segment.exec(rest);
    if (match === null) return undefined;
    total += Number(match[1]) * (millisecondsOf[match[2] ?? ''] ?? Number.NaN);
    rest = rest.slice(match[0].length);
  }
  return negative ? -total : total;
}

/** Writes milliseconds the way a person would give them: `100ms`, `5s`, `1h30m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`;
  if (milliseconds < 1_000) return `${milliseconds}ms`;
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const seconds = (milliseconds % 60_000) / 1_000;
  return `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes}m` : ''}${seconds > 0 ? `${seconds}s` : ''}`;
}
