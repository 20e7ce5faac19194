import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What V8 writes of one script: ranges of each function, the outer before the inner, and how often each was run. */
interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** A piece of code that no seed has run. */
interface Unreached {
  /** `engine/raft/leader.ts:72` */
  readonly place: string;
  readonly text: string;
}

const engineFolder = '/apps/server/dist/engine/';
/** Simulated as a whole, so that they are never run here. */
const replaced = /\/engine\/(backend\/lmdb|backend\/flush-|platform\/node-|platform\/directory-lock)/;

/**
 * Which code of the engine the seeds have run: the processes that run them leave V8's block coverage in a folder. Rare paths need no switch in
 * production code to be counted.
 */
export class Coverage {
  private readonly folder = mkdtempSync(join(tmpdir(), 'conclave-coverage-'));

  /** For processes that start from now on. */
  constructor() {
    process.env['NODE_V8_COVERAGE'] = this.folder;
  }

  /** In Markdown: a row per folder, then every place that was not reached. Removes what the processes left. */
  lines(): string[] {
    const reached = new Map<string, Uint8Array>();
    for (const file of readdirSync(this.folder)) {
      const text = readFileSync(join(this.folder, file), 'utf8');
      for (const script of (JSON.parse(text) as { result: ScriptCoverage[] }).result) add(reached, script);
    }
    rmSync(this.folder, { recursive: true });
    const sums = new Map<string, { lines: number; reached: number }>();
    const places: Unreached[] = [];
    for (const [url, marks] of [...reached].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const { lines, missing } = judge(url, marks);
      const name = url.slice(url.indexOf(engineFolder) + '/apps/server/dist/'.length);
      const folder = name.split('/').slice(0, -1).join('/');
      const sum = sums.get(folder) ?? { lines: 0, reached: 0 };
      sums.set(folder, { lines: sum.lines + lines, reached: sum.reached + lines - missing.length });
      places.push(...missing);
    }
    return [
      '| folder | lines | run by these seeds |',
      '|---|---|---|',
      ...[...sums].map(([folder, sum]) => {
        return `| ${folder} | ${sum.lines} | ${((100 * sum.reached) / sum.lines).toFixed(1)} % |`;
      }),
      '',
      ...places.map(({ place, text }) => `${place}  ${text}`),
    ];
  }
}

function add(reached: Map<string, Uint8Array>, { url, functions }: ScriptCoverage): void {
  if (!url.includes(engineFolder) || replaced.test(url)) return;
  const ranges = functions.flatMap((each) => each.ranges);
  const length = Math.max(0, ...ranges.map(({ endOffset }) => endOffset));
  const marks = new Uint8Array(length);
  // An inner range says more than those around it.
  ranges.sort((a, b) => b.endOffset - b.startOffset - (a.endOffset - a.startOffset));
  for (const { startOffset, endOffset, count } of ranges)
    marks.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  const before = reached.get(url);
  if (before === undefined) reached.set(url, marks);
  else for (let at = 0; at < length; at++) before[at] |= marks[at];
}

/** The lines with code, and of those the ones of which a part was not run. */
function judge(url: string, marks: Uint8Array): { readonly lines: number; readonly missing: Unreached[] } {
  const path = fileURLToPath(url);
  const map = new SourceMap(
    JSON.parse(readFileSync(`${path}.map`, 'utf8')) as ConstructorParameters<typeof SourceMap>[0],
  );
  const missing: Unreached[] = [];
  let [lines, start] = [0, 0];
  for (const [number, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (isCode(line)) {
      lines++;
      const text = unreachedText(line, marks.subarray(start, start + line.length));
      if (text !== '') missing.push({ place: placeOf(path, map, number, line), text });
    }
    start += line.length + 1;
  }
  return { lines, missing };
}

function isCode(line: string): boolean {
  const text = line.trim();
  return /[a-z0-9]/i.test(text) && !/^(\/\/|\/?\*|import |export \{|export \*|else \{?$|default:)/.test(text);
}

/** The part of a line that was not run; nothing when that is only punctuation. */
function unreachedText(line: string, marks: Uint8Array): string {
  const text = [...line]
    .filter((_, at) => marks[at] === 0)
    .join('')
    .trim();
  return /[a-z0-9]/i.test(text) ? text : '';
}

function placeOf(path: string, map: SourceMap, number: number, line: string): string {
  const entry = map.findEntry(number, line.length - line.trimStart().length);
  const original = 'originalLine' in entry ? entry.originalLine + 1 : number + 1;
  const name = path.slice(path.indexOf(engineFolder) + '/apps/server/dist/'.length).replace(/\.js$/, '.ts');
  return `${name}:${original}`;
}
