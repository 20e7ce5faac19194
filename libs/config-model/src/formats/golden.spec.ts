import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { documentFormats, parseDocument, renderDocument } from './document.js';

const folder = fileURLToPath(new URL('../../testdata/formats/', import.meta.url));
const documents = readdirSync(folder).filter((name) => !name.endsWith('.golden.json'));

/** What documents mean, as files. UPDATE_GOLDEN=1 writes them again (then `npm run format`): look at the difference before you keep it. */
describe('documents of each format', () => {
  it('there is one of each', () => {
    expect(documents.map((name) => name.split('.').at(-1)).sort()).toEqual([...documentFormats].sort());
  });

  it.each(documents)('%s means what its golden file says', (name) => {
    const format = documentFormats.find((candidate) => name.endsWith(`.${candidate}`)) ?? 'text';
    const { values, tree } = parseDocument(format, readFileSync(folder + name, 'utf8'));
    const golden = `${folder}${name}.golden.json`;
    const actual = JSON.stringify({ values: [...values], tree });
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, actual);
    expect(actual).toBe(JSON.stringify(JSON.parse(readFileSync(golden, 'utf8'))));
  });

  it.each(documents)('%s means the same after it was written again', (name) => {
    const format = documentFormats.find((candidate) => name.endsWith(`.${candidate}`)) ?? 'text';
    const document = parseDocument(format, readFileSync(folder + name, 'utf8'));
    const again = parseDocument(format, renderDocument(format, document.values, document.tree));
    expect([...again.values]).toEqual([...document.values]);
  });
});
