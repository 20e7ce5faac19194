/** Milliseconds on the monotonic clock of the machine, which all its processes share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What `performance.now()` of this process lacks to that clock. */
const offsetMs = monotonicMs() - performance.now();

/** A time of `performance.now()`, as the deadlines of the SDK are, on the clock of the machine. */
export function onMachineClock(performanceMs: number): number {
  return performanceMs + offsetMs;
}
