import { yamlLibrary } from '#yaml-library';
import { type Node } from 'yaml';
import { ConfigModelError, type Position } from '../error.js';
import { type ConfigTree, type ConfigValue, setMember } from '../value.js';
import { mostDepth } from './json.js';

/**
 * One YAML 1.2 document with the core schema: text, numbers, booleans, null, sequences and maps. Anchors and merge keys (`<<`)
 * work; tags of other types, keys given twice and a second document are refused.
 *
 * @throws ConfigModelError `invalid-document` with the position.
 */
export function parseYaml(text: string): ConfigValue {
  const { LineCounter, parseDocument } = yamlLibrary();
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: true,
    intAsBigInt: true,
    uniqueKeys: true,
    prettyErrors: false,
    lineCounter: lines,
  });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const wrong = document.errors[0] ?? document.warnings[0];
  if (wrong !== undefined) throw new ConfigModelError('invalid-document', wrong.message, at(wrong.pos[0]));
  checkNodes(document.contents, (message, node) => {
    throw new ConfigModelError('invalid-document', message, at(node.range?.[0] ?? 0));
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigModelError(
      'invalid-document',
      `its aliases cannot be resolved: ${(error as Error).message}`,
    );
  }
  return toConfigValue(value, 0);
}

function checkNodes(contents: Node | null, refuse: (message: string, node: Node) => never): void {
  if (contents === null) return;
  const { isAlias, isMap, isScalar, visit } = yamlLibrary();
  visit(contents, {
    Scalar: (_, node) => {
      const { value } = node;
      if (typeof value === 'bigint' && !Number.isSafeInteger(Number(value))) {
        refuse(`the number ${value} cannot be kept exactly; write it in quotes`, node);
      }
      if (typeof value === 'number' && !Number.isFinite(value))
        refuse(`${value} is not a number that a document can have`, node);
    },
    Map: (_, node) => {
      for (const { key } of node.items) {
        if (!isScalar(key) && !isAlias(key)) refuse('the key of a map is text, a number or a boolean', node);
      }
    },
    Pair: (_, pair) => {
      if (isMap(pair.key)) refuse('the key of a map is text, a number or a boolean', pair.key);
    },
  });
}

/** Aliases to a node around them make a value without an end; the bound on depth ends it. */
function toConfigValue(value: unknown, depth: number): ConfigValue {
  if (depth > mostDepth) {
    throw new ConfigModelError(
      'invalid-document',
      `is nested deeper than ${mostDepth} levels, or contains itself`,
    );
  }
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (Array.isArray(value)) return value.map((item) => toConfigValue(item, depth + 1));
  if (value === undefined) return null;
  const object: Record<string, ConfigValue> = {};
  for (const [name, member] of Object.entries(value as object))
    setMember(object, name, toConfigValue(member, depth + 1));
  return object;
}

/** Text that {@link parseYaml} reads back as the same tree. */
export function renderYaml(tree: ConfigTree): string {
  return yamlLibrary().stringify(tree, { version: '1.2', schema: 'core', lineWidth: 0 });
}
