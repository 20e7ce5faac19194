/** One change of one key. A deletion is a version too. Numbers are revisions, but for `version`, which counts puts. */
export interface Version {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: bigint;
  readonly deleted: boolean;
}

/** Keys as requests name them: one key, or from `from` up to but not with `to` (undefined: to the end). */
export interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
}

/** etcd's rule of ranges: no end is a single key, `\0` is everything from the key on. */
export function keyRange(key: Buffer, rangeEnd: Buffer): KeyRange {
  const from = key.toString('latin1');
  if (rangeEnd.length === 0) return { from, to: `${from}\0` };
  const to = rangeEnd.toString('latin1');
  return { from, to: to === '\0' ? undefined : to };
}

function contains(range: KeyRange, key: string): boolean {
  return key >= range.from && (range.to === undefined || key < range.to);
}

/** All versions of all keys that there ever were. Nothing is ever compacted here: a compaction only forbids to look. */
export class History {
  /** Per key, oldest first. */
  private readonly versions = new Map<string, Version[]>();
  /** By revision: the changes of it in order. */
  private readonly changes: Version[][] = [];

  add(version: Version): void {
    const versions = this.versions.get(version.key);
    if (versions === undefined) this.versions.set(version.key, [version]);
    else versions.push(version);
    (this.changes[version.mod] ??= []).push(version);
  }

  /** The key as it was at a revision; undefined when it did not exist. */
  at(key: string, revision: number): Version | undefined {
    const versions = this.versions.get(key) ?? [];
    for (let at = versions.length - 1; at >= 0; at--) {
      if (versions[at].mod <= revision) return versions[at].deleted ? undefined : versions[at];
    }
    return undefined;
  }

  /** The keys of a range that existed at a revision, in order. */
  rows(range: KeyRange, revision: number): Version[] {
    const keys = [...this.versions.keys()].filter((key) => contains(range, key)).sort();
    return keys.map((key) => this.at(key, revision)).filter((row) => row !== undefined);
  }

  /** The changes in a range from one revision to another, both included, in order. */
  between(range: KeyRange, first: number, last: number): Version[] {
    const found: Version[] = [];
    for (let revision = Math.max(first, 0); revision <= last; revision++) {
      for (const change of this.changes[revision] ?? []) if (contains(range, change.key)) found.push(change);
    }
    return found;
  }
}
