import { setFlagsFromString } from 'node:v8';

/** By how much the old generation may grow beyond what lived in it before it is collected. */
const growthPercent = 30;

/**
 * Keeps what is dead in the heap in proportion to what lives. By default V8 lets the old generation become up to four times
 * as large before it collects it, which for a member, whose data lie outside of the heap, is mostly waste: 100 MB after a
 * million keys. Little grows old here, so that the collections that this adds are too few to be measured.
 */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
