import { ConfigModelError } from './error.js';
import { familyOf, type DocumentFormat, type ParsedDocument } from './formats/document.js';
import { unflatten } from './formats/flatten.js';
import { pathSegment } from './formats/path.js';
import { type ConfigTree, type ConfigValue, isTree, setMember } from './value.js';

/** One document of an overlay, and what is noted as the origin of its values. */
export interface OverlayLayer<O> {
  readonly document: ParsedDocument;
  readonly origin: O;
}

/** The outcome of an overlay. */
export interface EffectiveDocument<O> {
  readonly format: DocumentFormat;
  readonly values: ReadonlyMap<string, ConfigValue>;
  /** For every path of `values`. */
  readonly origins: ReadonlyMap<string, O>;
  readonly tree: ConfigTree;
}

/**
 * Lays documents over each other; the last one wins. Objects are merged member by member, everything else (arrays too) is replaced
 * whole, and `null` deletes what lies below it, so that no member of the outcome is null (RFC 7396). The format is that of the last.
 *
 * @throws ConfigModelError `invalid-overlay` when there is no layer, when text is laid over or under anything, or when the
 * documents are of different families (properties; JSON and YAML).
 */
export function overlay<O>(layers: readonly OverlayLayer<O>[]): EffectiveDocument<O> {
  const top = layers.at(-1);
  if (top === undefined)
    throw new ConfigModelError('invalid-overlay', 'an overlay has at least one document');
  const { format } = top.document;
  const family = familyOf(format);
  for (const { document } of layers.slice(0, -1)) {
    if (family === 'text' || familyOf(document.format) !== family) {
      throw new ConfigModelError(
        'invalid-overlay',
        `a document of format ${format} cannot extend one of format ${document.format}; properties extend properties, JSON and YAML extend each other`,
      );
    }
  }
  return family === 'tree' ? overlayTrees(format, layers) : overlayFlat(format, layers);
}

function overlayFlat<O>(format: DocumentFormat, layers: readonly OverlayLayer<O>[]): EffectiveDocument<O> {
  const values = new Map<string, ConfigValue>();
  const origins = new Map<string, O>();
  for (const { document, origin } of layers) {
    for (const [path, value] of document.values) {
      values.set(path, value);
      origins.set(path, origin);
    }
  }
  return { format, values, origins, tree: format === 'text' ? {} : unflatten(values) };
}

/** A member: a leaf with its value, or a branch with its members. */
interface Node<O> {
  readonly origin: O;
  readonly value: ConfigValue;
  readonly members: Map<string, Node<O>> | undefined;
}

function overlayTrees<O>(format: DocumentFormat, layers: readonly OverlayLayer<O>[]): EffectiveDocument<O> {
  const root = new Map<string, Node<O>>();
  for (const { document, origin } of layers) merge(root, document.tree, origin);
  const values = new Map<string, ConfigValue>();
  const origins = new Map<string, O>();
  const build = (members: Map<string, Node<O>>, prefix: string): ConfigTree => {
    const tree: Record<string, ConfigValue> = {};
    for (const [name, node] of members) {
      const path = prefix + pathSegment(name);
      const value = node.members === undefined ? node.value : build(node.members, `${path}.`);
      setMember(tree, name, value);
      if (node.members !== undefined && node.members.size > 0) continue;
      values.set(path, value);
      origins.set(path, node.origin);
    }
    return tree;
  };
  return { format, tree: build(root, ''), values, origins };
}

function merge<O>(members: Map<string, Node<O>>, tree: ConfigTree, origin: O): void {
  for (const [name, value] of Object.entries(tree)) {
    if (value === null) {
      members.delete(name);
    } else if (isTree(value)) {
      const below = members.get(name)?.members ?? new Map<string, Node<O>>();
      if (members.get(name)?.members === undefined)
        members.set(name, { origin, value: null, members: below });
      merge(below, value, origin);
    } else {
      members.set(name, { origin, value, members: undefined });
    }
  }
}
