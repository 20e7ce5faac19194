import { type DocumentHead, headFields, readHead } from './document-head.js';
import { RowReader, rowVersion } from './row-reader.js';

/** The value of `…/current`: the release in force for every instance that no gray rule matches. */
export type CurrentRow = DocumentHead;

/** @throws ConfigModelError `invalid-row`, `newer-format`, `invalid-name`. */
export function decodeCurrent(text: string): CurrentRow {
  return readHead(RowReader.open(text, 'the current release'));
}

export function encodeCurrent(row: CurrentRow): string {
  return JSON.stringify({ version: rowVersion, ...headFields(row) });
}
