const kept = 60;

/** Everything that happened in a run: a rolling hash over all of it, and the last events as text. */
export class Trace {
  events = 0;
  private low = 0x811c9dc5;
  private high = 0x1b873593;
  private readonly ring: string[] = [];

  /** @param print Gets every line, when a whole trace is wanted. */
  constructor(private readonly print?: (line: string) => void) {}

  note(timeMs: number, text: string): void {
    const line = `${timeMs.toFixed(3).padStart(12)} ms  ${text}`;
    this.events++;
    for (let at = 0; at < line.length; at++) {
      this.low = Math.imul(this.low ^ line.charCodeAt(at), 0x01000193);
      this.high = Math.imul(this.high + line.charCodeAt(at), 0x5bd1e995) ^ (this.high >>> 15);
    }
    this.ring[this.events % kept] = line;
    this.print?.(line);
  }

  /** 64 bits in hex. Equal traces have equal hashes. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.high) + hex(this.low);
  }

  /** The last lines, oldest first. */
  get last(): readonly string[] {
    const start = this.events + 1;
    const lines = Array.from({ length: kept }, (_, at) => this.ring[(start + at) % kept]);
    return lines.filter((line) => line !== undefined);
  }
}
