import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Transcript } from './testing/transcript.js';

/**
 * Every file in `testdata` is a conversation: `#` lines tell the story, `> ` lines are commands, the lines below a
 * command are what it caused. `UPDATE_TRANSCRIPTS=1 npx vitest run interaction` writes the answers anew; they are
 * reviewed as a diff.
 */
const FOLDER = join(import.meta.dirname, 'testdata');
const isUpdating = process.env['UPDATE_TRANSCRIPTS'] === '1';

/** The same story with the answers that its commands give now. */
function replay(text: string): string {
  const transcript = new Transcript();
  const lines: string[] = [];
  let isAnswer = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('> ')) {
      const command = line.slice(2).split('#')[0]!.trim();
      lines.push(line, ...transcript.run(command).map((answer) => `  ${answer}`));
      isAnswer = true;
    } else if (!isAnswer || !line.startsWith('  ')) {
      lines.push(line);
      isAnswer = false;
    }
  }
  return lines.join('\n');
}

describe('transcripts', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'));

  it('finds the stories', () => {
    expect(files.length).toBeGreaterThanOrEqual(12);
  });

  it.each(files)('%s', (name) => {
    const path = join(FOLDER, name);
    const text = readFileSync(path, 'utf8');
    const answered = replay(text);
    if (isUpdating) writeFileSync(path, answered);
    expect(answered).toBe(isUpdating ? readFileSync(path, 'utf8') : text);
  });
});
