import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type MemberKind, repositoryRoot } from '../../../members/member-process.js';

const path = join(repositoryRoot, 'docs/failure-semantics.md');
/** `UPDATE_FAILURES=1` writes what is seen into the document, instead of comparing. */
const isUpdate = process.env['UPDATE_FAILURES'] === '1';
const columns: readonly MemberKind[] = ['conclave', 'etcd'];

/**
 * Compares what was seen with the document: the text must be the one that stands in the row, in the column of the server.
 * Figures stand behind it in brackets; they differ from run to run, and are those of the last update.
 */
export function seen(row: string, kind: MemberKind, text: string, figures = ''): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${row} |`));
  expect(at, `docs/failure-semantics.md has no row '${row}' of what was seen`).toBeGreaterThan(0);
  const cells = (lines[at] ?? '').split('|').map((cell) => cell.trim());
  const column = columns.indexOf(kind) + 4;
  if (isUpdate) {
    cells[column] = figures === '' ? text : `${text} (${figures})`;
    lines[at] = `|${cells
      .slice(1, -1)
      .map((cell) => ` ${cell} `)
      .join('|')}|`;
    writeFileSync(path, lines.join('\n'));
    return;
  }
  expect(cells[column]?.replace(/ \([^()]*\)$/, '')).toBe(text);
}

/** A duration as the document has it. */
export function ms(milliseconds: number): string {
  return `${Math.round(milliseconds)} ms`;
}
