/** One place of a patch: lines as they are, and as they become. */
interface Hunk {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** What a patch does to one file. */
export interface FilePatch {
  /** From the repository's root. */
  readonly path: string;
  readonly hunks: readonly Hunk[];
}

export interface Patch {
  /** What the mistake is, and where it happened: the text before the first file. */
  readonly story: string;
  readonly files: readonly FilePatch[];
}

/** Reads a unified diff. Line numbers do not count: a hunk is found by its lines, so that patches outlive edits elsewhere. */
export function parsePatch(text: string): Patch {
  const lines = text.split('\n');
  const files: { path: string; hunks: { before: string[]; after: string[] }[] }[] = [];
  const story: string[] = [];
  for (const line of lines) {
    const file = files.at(-1);
    const hunk = file?.hunks.at(-1);
    if (line.startsWith('--- ')) continue;
    if (line.startsWith('+++ ')) files.push({ path: line.slice('+++ b/'.length).trim(), hunks: [] });
    else if (line.startsWith('@@')) file?.hunks.push({ before: [], after: [] });
    else if (file === undefined) story.push(line);
    else if (line.startsWith('-')) hunk?.before.push(line.slice(1));
    else if (line.startsWith('+')) hunk?.after.push(line.slice(1));
    else if (line.startsWith(' ')) {
      hunk?.before.push(line.slice(1));
      hunk?.after.push(line.slice(1));
    }
  }
  return { story: story.join('\n').trim(), files };
}

/** @throws Error when a hunk's lines are not in the source, or more than once: the patch must be made anew. */
export function applyPatch(source: string, { path, hunks }: FilePatch): string {
  let lines = source.split('\n');
  for (const { before, after } of hunks) {
    const places: number[] = [];
    for (let at = 0; at + before.length <= lines.length; at++) {
      if (before.every((line, offset) => lines[at + offset] === line)) places.push(at);
    }
    if (places.length !== 1)
      throw new Error(`${path} has ${places.length} places for "${before.join('\n')}"`);
    lines = [...lines.slice(0, places[0]), ...after, ...lines.slice(places[0] + before.length)];
  }
  return lines.join('\n');
}
