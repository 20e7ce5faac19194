/**
 * `grpc-timeout` (gRPC over HTTP/2, "Timeout"): at most eight digits and a unit, H M S m u n.
 */

const millisecondsOfUnit: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** From the finest unit that we write to the coarsest. */
const writtenUnits = ['u', 'm', 'S', 'M', 'H'] as const;
const valueMax = 99_999_999;

/** Milliseconds with a fraction, or undefined when the value is malformed. */
export function parseTimeout(value: string): number | undefined {
  if (value.length < 2 || value.length > 9) return undefined;
  const unit = millisecondsOfUnit[value.charAt(value.length - 1)];
  if (unit === undefined) return undefined;
  let digits = 0;
  for (let i = 0; i < value.length - 1; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    digits = digits * 10 + digit;
  }
  return digits * unit;
}

/** The header value for this many milliseconds: never shorter than asked, cut only at the format's end (11,415 years). */
export function formatTimeout(timeoutMs: number): string {
  for (const unit of writtenUnits) {
    const value = Math.ceil(Math.max(timeoutMs, 0) / (millisecondsOfUnit[unit] as number));
    if (value <= valueMax) return `${value}${unit}`;
  }
  return `${valueMax}H`;
}
