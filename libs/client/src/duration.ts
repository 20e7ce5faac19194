import { InvalidArgumentError } from './errors.js';

/** A span of time: a number of milliseconds, or a number with a unit (`'250ms'`, `'15s'`, `'4m'`, `'1h'`). */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * The duration in milliseconds.
 *
 * @param option the name of the option, for the message.
 * @throws InvalidArgumentError when it is negative, not finite, or not a number with a known unit.
 */
export function durationMs(value: Duration, option: string): number {
  const ms = typeof value === 'number' ? value : parse(value);
  if (!Number.isFinite(ms) || ms < 0) {
    throw new InvalidArgumentError(
      `${option}: ${String(value)} is not a duration; give milliseconds as a number, or text such as '250ms', '15s', '4m', '1h'`,
    );
  }
  return ms;
}

function parse(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
}
