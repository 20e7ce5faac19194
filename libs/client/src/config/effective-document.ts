import {
  ConfigModelError,
  familyOf,
  type ConfigTree,
  type ConfigValue,
  formatRef,
  overlay,
  type OverlayLayer,
  type ParsedDocument,
  renderDocument,
  unflatten,
} from '@conclave/config-model';
import { type Revision } from '../kv/entry.js';
import {
  type ConfigFreshness,
  type ConfigSource,
  type DocumentView,
  type ValueOrigin,
} from './document-view.js';
import { openedDocument, type SecretOpening } from './opened-document.js';
import { type LoadedRelease } from './release-content.js';

/** What an effective document is made of. Two of the same parts make the same document. */
export interface DocumentParts {
  /** As it was asked for. */
  readonly namespace: string;
  /** `app/namespace`. */
  readonly name: string;
  /** Undefined: nothing is released. */
  readonly release: LoadedRelease | undefined;
  /** The releases that it extends, lowest first, as far as they exist; with their names. */
  readonly below: readonly { readonly name: string; readonly release: LoadedRelease }[];
  /** Instead of the release: what an operator pinned. */
  readonly pinned: { readonly document: ParsedDocument; readonly text: string } | undefined;
  /** By path; wins over everything. */
  readonly override: ReadonlyMap<string, ConfigValue> | undefined;
  readonly source: ConfigSource;
  readonly freshness: ConfigFreshness;
  /** Opens sealed values. */
  readonly secrets: SecretOpening;
  /** For a namespace without a release: up to where that is known. */
  readonly revision: Revision;
}

/** @throws ConfigModelError `invalid-overlay`, or `invalid-secret` when a sealed value cannot be opened. */
export function effectiveDocument(parts: DocumentParts): DocumentView {
  const { namespace, release, pinned, override, freshness } = parts;
  const layers = layersOf(parts);
  const only = layers.length === 1 && override === undefined;
  if (override !== undefined) layers.push(overrideLayer(override, layers.at(-1)?.document.format ?? 'json'));
  if (layers.length === 0) layers.push({ document: empty, origin: { source: parts.source } });
  const sealed = overlay(layers);
  const { format, values, origins, tree } = openedDocument(sealed, parts.secrets);
  const usesRelease = pinned === undefined && release !== undefined;
  const own = pinned?.text ?? release?.text ?? '';
  return Object.freeze({
    namespace,
    exists: pinned !== undefined || release !== undefined,
    release: usesRelease ? release.head.release.toString() : '',
    sha256: usesRelease ? release.head.sha256 : '',
    ...(usesRelease && release.gray !== undefined ? { gray: release.gray } : {}),
    format,
    values,
    origins,
    tree: deepFrozen(tree),
    text: only ? own : renderDocument(format, sealed.values, sealed.tree),
    revision: revisionOf(parts),
    freshness,
  });
}

/** The document, or why there is none. */
export function documentOrRefusal(
  parts: DocumentParts,
):
  | { readonly view: DocumentView; readonly refusal?: never }
  | { readonly view?: never; readonly refusal: string } {
  try {
    return { view: effectiveDocument(parts) };
  } catch (error) {
    if (error instanceof ConfigModelError) return { refusal: error.message };
    throw error;
  }
}

const empty: ParsedDocument = { format: 'json', values: new Map(), tree: {} };

function layersOf({ name, release, below, pinned, source }: DocumentParts): OverlayLayer<ValueOrigin>[] {
  if (pinned !== undefined) {
    return [{ document: pinned.document, origin: { source: 'override', namespace: name } }];
  }
  if (release === undefined) return [];
  return [...below, { name, release }].map((layer) => ({
    document: layer.release.document,
    origin: {
      source,
      namespace: layer.name,
      ...(layer.release.gray === undefined ? {} : { gray: layer.release.gray }),
    },
  }));
}

/** The override as a document that can be laid over one of this format. */
function overrideLayer(
  values: ReadonlyMap<string, ConfigValue>,
  format: ParsedDocument['format'],
): OverlayLayer<ValueOrigin> {
  const origin: ValueOrigin = { source: 'override' };
  if (familyOf(format) === 'tree') return { origin, document: { format, values, tree: unflatten(values) } };
  // Text is no layer for anything: the override replaces the text, and properties are texts by path.
  const texts = new Map<string, ConfigValue>();
  for (const [path, value] of values) {
    if (value !== null) texts.set(path, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return { origin, document: { format, values: texts, tree: {} } };
}

function revisionOf({ release, below, revision, pinned }: DocumentParts): Revision {
  if (release === undefined || pinned !== undefined) return revision;
  const revisions = [release, ...below.map((layer) => layer.release)].map((layer) => layer.modRevision);
  return revisions.reduce((newest, other) => (other > newest ? other : newest), 0n);
}

/** The names of the namespaces that a release extends. */
export function extendedNames(release: LoadedRelease | undefined): readonly string[] {
  return release?.head.extends.map(formatRef) ?? [];
}

/** Freezes plain objects and lists, all the way down. */
export function deepFrozen<T extends ConfigTree | ConfigValue>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFrozen(member as ConfigValue);
  return Object.freeze(value);
}
