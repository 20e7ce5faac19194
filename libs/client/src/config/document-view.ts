import { type ConfigTree, type ConfigValue, type DocumentFormat } from '@conclave/config-model';
import { type Revision } from '../kv/entry.js';
import { type Freshness } from '../watch/state.js';

/** Whether configuration is up to date. */
export type ConfigFreshness = Freshness;

/** Where a value comes from, in the order in which they win. There is no other order. A pinned document counts as override. */
export type ConfigSource = 'override' | 'environment' | 'server' | 'cache' | 'module' | 'default';

export interface ValueOrigin {
  readonly source: ConfigSource;
  /** The namespace that it stands in, as `app/namespace`: the own one, or a public one that it extends. */
  readonly namespace?: string;
  /** The gray rule that gave it, if one did. */
  readonly gray?: string;
  /** The value was sealed and is here in clear. Absent: it was not. */
  readonly secret?: true;
}

/** The effective document of a namespace: overlays and gray rules applied. Frozen. */
export interface DocumentView {
  /** As it was asked for. */
  readonly namespace: string;
  /** False when nothing was released there; the document is empty then. */
  readonly exists: boolean;
  /** The release in force, or '' when there is none and for keys that no center manages. */
  readonly release: string;
  /** Of the content of that release, as 64 hexadecimal digits, or ''. */
  readonly sha256: string;
  /** The gray rule that chose the release. */
  readonly gray?: string;
  readonly format: DocumentFormat;
  /** By dotted path. Text has one value, under ''. */
  readonly values: ReadonlyMap<string, ConfigValue>;
  readonly origins: ReadonlyMap<string, ValueOrigin>;
  /** As a tree; empty for text. */
  readonly tree: ConfigTree;
  /** As it was released, or written from the values when it is made of several documents. Sealed values stay sealed in it. */
  readonly text: string;
  /** The revision that last changed one of the documents that it is made of. */
  readonly revision: Revision;
  /** At the moment of the emission; `status$` tells each change. */
  readonly freshness: ConfigFreshness;
}

/** What became of a namespace in this process. */
export interface NamespaceStatus {
  /** The release that is in force here. */
  readonly release: string;
  /** `rejected`: a newer release could not be applied, `release` is the last good one. */
  readonly state: 'applied' | 'rejected' | 'loading' | 'missing';
  readonly error?: string;
  readonly freshness: ConfigFreshness;
}
