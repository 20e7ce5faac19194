import { compare, type Comparison, type ConclaveClient, type Kv, op } from '@conclave/client';
import {
  type ConfigValue,
  currentKey,
  type CurrentRow,
  decodeCurrent,
  decodeRelease,
  type NamespaceId,
  namespacePrefix,
  parseDocument,
  parseKey,
  publicationRows,
  type PublishedDocument,
  releaseKey,
  sameValue,
} from '@conclave/config-model';
import { type FolderDocument, type FolderScan, nameOf } from './folder-scan.js';

/** What became of a namespace. Keys are paths of the document. */
export type FolderChange =
  | {
      readonly kind: 'published' | 'unchanged';
      readonly id: NamespaceId;
      readonly file: string;
      readonly release: bigint;
      readonly keys: number;
      readonly changed: readonly string[];
      readonly added: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly kind: 'withdrawn'; readonly id: NamespaceId; readonly release: bigint };

/** What is in force before a release, and the last release there was. */
interface InForce {
  readonly current: CurrentRow | undefined;
  readonly modRevision: bigint;
  readonly lastRelease: bigint;
}

/** As the config center has it. */
const namespacesPerRelease = 25;
/** Whoever else writes these keys too is met again at most so often. */
const attemptsMax = 5;
const author = 'conclave dev';
const configRoot = '/conclave/config/';

/**
 * Makes the store say what a folder says: new and changed documents are released, all of one environment together; namespaces whose file
 * is gone are withdrawn, if they were released from a folder. Nothing is done for a file that cannot be used: its last release stays.
 */
export class FolderPublisher {
  private readonly kv: Kv;

  constructor(
    client: ConclaveClient,
    private readonly wall: () => number,
  ) {
    this.kv = client.kv;
  }

  /** @throws ConclaveError when the store cannot be read or written; then the next call goes on. */
  async publish(scan: FolderScan): Promise<readonly FolderChange[]> {
    const changes: FolderChange[] = [];
    for (const documents of byEnvironment(scan.documents)) {
      for (let at = 0; at < documents.length; at += namespacesPerRelease) {
        changes.push(...(await this.release(documents.slice(at, at + namespacesPerRelease))));
      }
    }
    changes.push(...(await this.withdraw(scan.present)));
    return changes;
  }

  private async release(documents: readonly FolderDocument[]): Promise<readonly FolderChange[]> {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const inForce = await Promise.all(documents.map(({ id }) => this.inForce(id)));
      const conditions: Comparison[] = [];
      const published: PublishedDocument[] = [];
      const changes = documents.map((document, index): FolderChange => {
        const before = inForce[index]!;
        if (!differs(document, before.current)) return unchanged(document, before.current!);
        conditions.push(compare.modRevision(currentKey(document.id)).equals(before.modRevision));
        const next = nextRelease(document, before);
        published.push(next);
        return { ...changesOf(document, before.current), kind: 'published', release: next.number };
      });
      if (published.length === 0) return changes;
      const rows = publicationRows(published, { author, comment: '', createdAt: this.wall() });
      const { succeeded } = await this.kv
        .txn()
        .if(...conditions)
        .do(...rows.map(({ key, value }) => op.put(key, value)))
        .commit();
      if (succeeded) return changes;
    }
    throw new Error(
      `somebody else goes on changing ${documents.map(({ id }) => nameOf(id)).join(', ')}: only one may publish them`,
    );
  }

  private async inForce(id: NamespaceId): Promise<InForce> {
    const releases = releaseKey(id, 0n).slice(0, -20);
    const [current, newest] = await Promise.all([
      this.kv.get(currentKey(id)),
      this.kv.range(releases, {
        prefix: true,
        keysOnly: true,
        limit: 1,
        sort: { by: 'key', order: 'descend' },
      }),
    ]);
    const last = newest.entries[0] === undefined ? undefined : parseKey(newest.entries[0].key);
    return {
      current: current === null ? undefined : decodeCurrent(current.value.toString()),
      modRevision: current?.modRevision ?? 0n,
      lastRelease: last?.kind === 'release' ? last.number : 0n,
    };
  }

  private async withdraw(present: ReadonlySet<string>): Promise<readonly FolderChange[]> {
    const withdrawn: FolderChange[] = [];
    const { entries } = await this.kv.range(configRoot, { prefix: true });
    for (const { key, value, modRevision } of entries) {
      const parsed = parseKey(key);
      if (parsed?.kind !== 'current' || present.has(nameOf(parsed.id))) continue;
      const { id } = parsed;
      const { release } = decodeCurrent(value.toString());
      const row = await this.kv.get(releaseKey(id, release));
      if (row === null || decodeRelease(row.value.toString()).author !== author) continue;
      const { succeeded } = await this.kv
        .txn()
        .if(compare.modRevision(key).equals(modRevision))
        .do(op.delete(namespacePrefix(id), { prefix: true }))
        .commit();
      if (succeeded) withdrawn.push({ kind: 'withdrawn', id, release });
    }
    return withdrawn;
  }
}

function byEnvironment(documents: readonly FolderDocument[]): readonly (readonly FolderDocument[])[] {
  const groups = new Map<string, FolderDocument[]>();
  for (const document of documents) {
    const group = groups.get(document.id.env) ?? [];
    group.push(document);
    groups.set(document.id.env, group);
  }
  return [...groups.values()];
}

function differs({ sha256, format }: FolderDocument, current: CurrentRow | undefined): boolean {
  return current === undefined || current.sha256 !== sha256 || current.format !== format;
}

function nextRelease(
  { id, format, content, sha256 }: FolderDocument,
  { current, lastRelease }: InForce,
): PublishedDocument {
  const basedOn = current?.release ?? 0n;
  const number = (basedOn > lastRelease ? basedOn : lastRelease) + 1n;
  return { id, number, basedOn, format, content, sha256 };
}

function unchanged(document: FolderDocument, current: CurrentRow): FolderChange {
  const { id, file, values } = document;
  const none = { changed: [], added: [], removed: [] };
  return { kind: 'unchanged', id, file, release: current.release, keys: values.size, ...none };
}

/** A document that stands in its release only is compared with nothing: all its paths count as added. */
function changesOf({ id, file, values }: FolderDocument, current: CurrentRow | undefined) {
  const before: ReadonlyMap<string, ConfigValue> =
    current?.content === undefined ? new Map() : parseDocument(current.format, current.content).values;
  const after = [...values.keys()];
  return {
    id,
    file,
    keys: values.size,
    added: after.filter((path) => !before.has(path)),
    changed: after.filter((path) => before.has(path) && !sameValue(before.get(path)!, values.get(path)!)),
    removed: [...before.keys()].filter((path) => !values.has(path)),
  };
}
