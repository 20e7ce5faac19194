import { ConfigModelError } from '../error.js';
import { type ConfigTree, type ConfigValue, isTree } from '../value.js';
import { flatten, unflatten } from './flatten.js';
import { parseJson } from './json.js';
import { parseProperties, renderProperties } from './properties.js';
import { parseYaml, renderYaml } from './yaml.js';

/** How the text of a document is read. */
export type DocumentFormat = 'properties' | 'json' | 'yaml' | 'text';
export const documentFormats: readonly DocumentFormat[] = ['properties', 'json', 'yaml', 'text'];

/** Documents of one family can be laid over each other; text cannot. */
export type FormatFamily = 'flat' | 'tree' | 'text';

export function familyOf(format: DocumentFormat): FormatFamily {
  if (format === 'properties') return 'flat';
  return format === 'text' ? 'text' : 'tree';
}

/** A document that was read. */
export interface ParsedDocument {
  readonly format: DocumentFormat;
  /** By path; text has one value, under ''. `null` is still in it: see {@link overlay}. */
  readonly values: ReadonlyMap<string, ConfigValue>;
  /** Text has an empty one. */
  readonly tree: ConfigTree;
}

/**
 * Reads a document. The empty text is a document without values in every format but `text`.
 *
 * @throws ConfigModelError `invalid-document` with the position.
 */
export function parseDocument(format: DocumentFormat, text: string): ParsedDocument {
  switch (format) {
    case 'text':
      return { format, values: new Map([['', text]]), tree: {} };
    case 'properties': {
      const values = parseProperties(text);
      return { format, values, tree: unflatten(values) };
    }
    case 'json':
    case 'yaml': {
      const value = text.trim() === '' ? {} : format === 'json' ? parseJson(text) : (parseYaml(text) ?? {});
      if (!isTree(value)) {
        throw new ConfigModelError(
          'invalid-document',
          `the root of a ${format === 'json' ? 'JSON' : 'YAML'} document is ${format === 'json' ? 'an object' : 'a map'}, not ${Array.isArray(value) ? 'a list' : `a ${typeof value}`}`,
          { line: 1, column: 1 },
        );
      }
      return { format, values: flatten(value), tree: value };
    }
  }
}

/** The text of a document with these values, which {@link parseDocument} reads back as the same. */
export function renderDocument(
  format: DocumentFormat,
  values: ReadonlyMap<string, ConfigValue>,
  tree: ConfigTree,
): string {
  switch (format) {
    case 'text':
      return String(values.get('') ?? '');
    case 'json':
      return `${JSON.stringify(tree, undefined, 2)}\n`;
    case 'yaml':
      return renderYaml(tree);
    case 'properties':
      return renderProperties(new Map([...values].map(([path, value]) => [path, asText(value)])));
  }
}

function asText(value: ConfigValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
