import { Buffer } from 'node:buffer';
import {
  chooseGray,
  ConfigModelError,
  type CurrentRow,
  decodeCurrent,
  decodeGray,
  type DocumentHead,
  formatRef,
  type GrayRow,
  type InstanceTraits,
  type NamespaceId,
  parseKey,
} from '@conclave/config-model';
import { type Revision } from '../kv/entry.js';

/** A row of a namespace as it lies in the store. */
export interface StoredRow {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: Revision;
}
export type StoredRows = ReadonlyMap<string, StoredRow>;

/** The release that the rows of a namespace put in force for this instance. */
export interface ReleaseChoice {
  readonly head: DocumentHead;
  /** The rule, when it is a gray release. */
  readonly gray: string | undefined;
  /** Of the row that chose it. */
  readonly modRevision: Revision;
}

/** What the rows say. */
export interface Choice {
  /** Undefined: nothing is released. */
  readonly chosen: ReleaseChoice | undefined;
  /** Rules that this program cannot read; they match nobody here. */
  readonly unreadable: readonly string[];
}

/**
 * Chooses among the current release and the gray ones.
 *
 * @throws ConfigModelError when the current release cannot be read and no gray rule matches.
 */
export function chooseRelease(rows: StoredRows, traits: InstanceTraits): Choice {
  const rules = new Map<string, GrayRow>();
  const unreadable: string[] = [];
  let current: StoredRow | undefined;
  const places = new Map<string, Revision>();
  for (const row of rows.values()) {
    const key = parseKey(row.key);
    if (key?.kind === 'current') current = row;
    if (key?.kind !== 'gray') continue;
    try {
      rules.set(key.rule, decodeGray(textOf(row.value), key.rule));
      places.set(key.rule, row.modRevision);
    } catch (error) {
      if (!(error instanceof ConfigModelError)) throw error;
      unreadable.push(error.message);
    }
  }
  const gray = chooseGray(rules, traits);
  if (gray !== undefined) {
    const modRevision = places.get(gray.rule) ?? 0n;
    return { chosen: { head: gray.row, gray: gray.rule, modRevision }, unreadable };
  }
  if (current === undefined) return { chosen: undefined, unreadable };
  const head = decodeCurrent(textOf(current.value));
  return { chosen: { head, gray: undefined, modRevision: current.modRevision }, unreadable };
}

/** The namespaces that were released together with this row; empty when it cannot be read. */
export function groupOf(row: StoredRow): readonly string[] {
  try {
    const key = parseKey(row.key);
    const head: CurrentRow | undefined =
      key?.kind === 'current'
        ? decodeCurrent(textOf(row.value))
        : key?.kind === 'gray'
          ? decodeGray(textOf(row.value), key.rule)
          : undefined;
    return head === undefined ? [] : head.group.map(formatRef);
  } catch (error) {
    if (error instanceof ConfigModelError) return [];
    throw error;
  }
}

/** `app/namespace`, the name under which the SDK knows a namespace. */
export function nameOf(id: NamespaceId): string {
  return formatRef(id);
}

export function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
}
