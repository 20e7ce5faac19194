import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
const repositoryRoot = resolve(here, '../../../..');

interface Row {
  readonly pitfall: string;
  readonly spec: string;
  readonly test: string;
}

/** The rows of the table in the README: pitfall, what is done, spec, test. */
function rows(): readonly Row[] {
  const readme = readFileSync(resolve(here, '../../README.md'), 'utf8');
  const found: Row[] = [];
  for (const line of readme.split('\n')) {
    const match = /^\| (P\d+)\b[^|]*\|[^|]*\| `([^`]+)` \| (.+) \|$/.exec(line);
    if (match !== null) found.push({ pitfall: match[1] ?? '', spec: match[2] ?? '', test: match[3] ?? '' });
  }
  return found;
}

describe('the table of pitfalls', () => {
  it('has a row for each pitfall', () => {
    const named = new Set(rows().map((row) => row.pitfall));
    const missing = Array.from({ length: 34 }, (_, at) => `P${at + 1}`).filter((name) => !named.has(name));
    expect(missing).toEqual([]);
  });

  it('names tests that exist where it says', () => {
    const wrong = rows().filter(({ pitfall, spec, test }) => {
      const text = readFileSync(resolve(repositoryRoot, spec), 'utf8');
      const isThere = [`'${test}'`, `"${test}"`].some((name) => text.includes(name));
      return !isThere || !test.startsWith(pitfall);
    });
    expect(wrong).toEqual([]);
  });
});
