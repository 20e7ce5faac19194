import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** By how much the old generation of a large heap may grow beyond what lived in it before it is collected. */
const growthPercent = 30;
/**
 * Where a heap begins to be large. Below, V8's own rule stays: a few megabytes that live would be collected again and again
 * (several times a second in one process out of three under a load of small puts).
 */
const largeBytes = 64 * 2 ** 20;
const lookEveryMs = 1_000;

/**
 * Releases of V8 that are known to have the flag: those of Node 20 (11), 22 (12) and 24 (13). A flag that V8 does not know
 * cannot be tried: it complains on stderr, and there is no way to ask it. Another release keeps its own rule.
 */
const oldestRelease = 11;
const newestRelease = 13;

/** What it takes from V8. */
export interface HeapAccess {
  readonly release: string;
  readonly setFlag: (flag: string) => void;
  /** Bytes in use, dead ones that were not collected yet among them. */
  readonly usedBytes: () => number;
}

const ownHeap: HeapAccess = {
  release: process.versions.v8,
  setFlag: setFlagsFromString,
  usedBytes: () => getHeapStatistics().used_heap_size,
};

/**
 * Keeps what is dead in a large heap in proportion to what lives. By default V8 lets the old generation become up to four
 * times as large before it collects it, which for a member, whose data lie outside of the heap, is mostly waste: some 80 MB
 * after a million keys.
 */
export class HeapGrowth {
  private isBound = false;

  constructor(private readonly heap: HeapAccess = ownHeap) {}

  /** Whether this V8 knows how to. */
  get isPossible(): boolean {
    const major = Number.parseInt(this.heap.release, 10);
    return major >= oldestRelease && major <= newestRelease;
  }

  /** Looks from now on, as long as the process lives; does not keep it alive. */
  start(): void {
    if (this.isPossible) setInterval(() => this.look(), lookEveryMs).unref();
  }

  look(): void {
    const isLarge = this.heap.usedBytes() >= largeBytes;
    if (isLarge === this.isBound) return;
    this.isBound = isLarge;
    // Zero is V8's own rule.
    this.heap.setFlag(`--heap-growing-percent=${isLarge ? growthPercent : 0}`);
  }
}
