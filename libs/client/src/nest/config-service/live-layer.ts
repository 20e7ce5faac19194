import { type ConfigTree, type ConfigValue, unflatten, valueAt } from '@conclave/config-model';
import { evaluateClass, isOverridden, type ValueSurroundings } from '../../config/class-values.js';
import { type ConfigClassDefinition } from '../../config/config-class.js';
import { type DocumentView } from '../../config/document-view.js';

/**
 * What ConfigService reads of one namespace.
 *
 * Invariant: every config class of the namespace has accepted the document that is shown, as a whole.
 */
export class LiveLayer {
  /** The config classes that judge it, and whose environment variables win over it. */
  readonly definitions = new Set<ConfigClassDefinition<object>>();
  private seen: DocumentView | undefined;
  private shown: { readonly values: ReadonlyMap<string, ConfigValue>; readonly tree: ConfigTree } | undefined;

  constructor(
    readonly namespace: string,
    private readonly surroundings: ValueSurroundings,
  ) {}

  /** True when the layer has been told of its namespace. */
  get isKnown(): boolean {
    return this.seen !== undefined;
  }

  /** By path. */
  get values(): ReadonlyMap<string, ConfigValue> {
    return this.shown?.values ?? new Map();
  }

  /** A value, or a part of the document. */
  get(path: string): ConfigValue | undefined {
    if (this.shown === undefined) return undefined;
    const { values, tree } = this.shown;
    return values.get(path) ?? (isPath(path) ? valueAt(tree, path) : undefined) ?? undefined;
  }

  /** Takes a document, unless it is the one that is there, text, or refused by a class. True when it was taken. */
  adopt(view: DocumentView): boolean {
    if (view === this.seen) return false;
    this.seen = view;
    if (view.format === 'text') return false;
    const isRefused = [...this.definitions].some(
      (definition) => 'violations' in evaluateClass(definition, view, this.surroundings),
    );
    if (isRefused) return false;
    const fromEnvironment = this.environmentValues(view);
    if (fromEnvironment.size === 0) this.shown = { values: view.values, tree: view.tree };
    else this.shown = laidOver(view.values, fromEnvironment);
    return true;
  }

  /** Judged anew with the next document: another class reads the namespace now. */
  judgeAgain(view: DocumentView | undefined): void {
    this.seen = undefined;
    this.shown = undefined;
    if (view !== undefined) this.adopt(view);
  }

  private environmentValues(view: DocumentView): ReadonlyMap<string, string> {
    const values = new Map<string, string>();
    for (const { properties = {} } of this.definitions) {
      for (const [property, { env, path = property }] of Object.entries(properties)) {
        const value = env === undefined ? undefined : this.surroundings.environment[env];
        if (value !== undefined && !isOverridden(view, path)) values.set(path, value);
      }
    }
    return values;
  }
}

/** A backslash stands before a dot or a backslash of a name; what an application asks for may be no path at all. */
function isPath(text: string): boolean {
  return !/\\(?![.\\])/.test(text.replaceAll('\\\\', ''));
}

function laidOver(below: ReadonlyMap<string, ConfigValue>, above: ReadonlyMap<string, ConfigValue>) {
  const hidden = (path: string): boolean =>
    [...above.keys()].some(
      (other) => path === other || path.startsWith(`${other}.`) || other.startsWith(`${path}.`),
    );
  const values = new Map([...[...below].filter(([path]) => !hidden(path)), ...above]);
  return { values, tree: unflatten(values) };
}
