const kept = 60;

/** Everything that happened in a run: a rolling hash over all of it, and the last events as text. */
export class Trace {
  events = 0;
  private low = 0x811c9dc5;
  private high = 0x1b873593;
  private readonly times = new Float64Array(kept);
  private readonly texts: string[] = [];
  private readonly time = new Float64Array(1);
  private readonly timeWords = new Uint32Array(this.time.buffer);

  /** @param print Gets every line, when a whole trace is wanted. */
  constructor(private readonly print?: (line: string) => void) {}

  note(timeMs: number, text: string): void {
    this.events++;
    this.time[0] = timeMs;
    this.mix(this.timeWords[0]);
    this.mix(this.timeWords[1]);
    this.mix(text.length);
    for (let at = 0; at < text.length; at++) this.mix(text.charCodeAt(at));
    const place = this.events % kept;
    this.times[place] = timeMs;
    this.texts[place] = text;
    this.print?.(lineOf(timeMs, text));
  }

  /** 64 bits in hex. Equal traces have equal hashes. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.high) + hex(this.low);
  }

  /** The last lines, oldest first. */
  get last(): readonly string[] {
    const lines: string[] = [];
    for (let event = Math.max(1, this.events - kept + 1); event <= this.events; event++) {
      lines.push(lineOf(this.times[event % kept], this.texts[event % kept]));
    }
    return lines;
  }

  private mix(word: number): void {
    this.low = Math.imul(this.low ^ word, 0x01000193);
    this.high = Math.imul(this.high + word, 0x5bd1e995) ^ (this.high >>> 15);
  }
}

function lineOf(timeMs: number, text: string): string {
  return `${timeMs.toFixed(3).padStart(12)} ms  ${text}`;
}
