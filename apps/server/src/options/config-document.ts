import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';

/** The outermost object of a configuration file, or what is wrong with the file. */
export type ConfigDocument = { readonly keys: object } | { readonly problems: readonly string[] };

/**
 * Reads one YAML 1.2 document, of which JSON is a part. Every problem names its line and column. Keys that stand twice,
 * unknown tags and more than one document are problems too: a file that can be read in two ways is refused.
 */
export function parseConfigDocument(content: string): ConfigDocument {
  // Loaded only by members that are given a file: it takes longer than reading all flags.
  const { parseDocument } = createRequire(import.meta.url)('yaml') as typeof Yaml;
  const document = parseDocument(content, { stringKeys: true, logLevel: 'error' });
  const problems = [...document.errors, ...document.warnings].map(({ code, message, linePos }) => {
    const [start] = linePos ?? [];
    const place = start === undefined ? '' : `line ${start.line}, column ${start.col}: `;
    return place + (code === 'MULTIPLE_DOCS' ? 'a second document begins here' : withoutPlace(message));
  });
  if (problems.length > 0) return { problems };
  try {
    const value: unknown = document.toJS();
    if (isObject(value)) return { keys: value };
    return { problems: ['its outermost value is not an object'] };
  } catch (error) {
    // References that lead nowhere, or that would multiply without bound.
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A message without the place and the piece of the file that the parser appends to it. */
function withoutPlace(message: string): string {
  return message.replace(/ at line \d+, column \d+:?[^]*$/, '');
}
