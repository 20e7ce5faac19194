import { type FoundKey, type SeenEvent } from './operation.js';

interface Version {
  readonly revision: number;
  /** Undefined: the key was removed at this revision. */
  readonly state: FoundKey | undefined;
}

/**
 * What a store must hold, built from the events of its history one after the other. It keeps every version of every key.
 *
 * Invariant: the versions of a key have growing revisions.
 */
export class StoreModel {
  private readonly versionsByKey = new Map<string, Version[]>();
  revision = 1;

  /** The key as of `revision`, or as of now. */
  at(key: string, revision = this.revision): FoundKey | undefined {
    const versions = this.versionsByKey.get(key);
    if (versions === undefined) return undefined;
    let [low, high] = [0, versions.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (versions[middle].revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : versions[low - 1].state;
  }

  /** All keys as of `revision`, in order. */
  all(revision = this.revision): FoundKey[] {
    return [...this.versionsByKey.keys()].sort().flatMap((key) => this.at(key, revision) ?? []);
  }

  /** The keys that a lease holds now, in order. */
  attachedTo(lease: bigint): string[] {
    return this.all()
      .filter((state) => state.lease === lease)
      .map(({ key }) => key);
  }

  /** What a put at the next revision must look like. */
  expectedPut(key: string, writer: string, bytes: number, lease: bigint, revision: number): SeenEvent {
    const before = this.at(key);
    return {
      kind: 'put',
      key,
      writer,
      bytes,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease,
    };
  }

  apply(event: SeenEvent): void {
    const { kind, ...state } = event;
    const versions = this.versionsByKey.get(event.key) ?? [];
    this.versionsByKey.set(event.key, versions);
    versions.push({ revision: event.modRevision, state: kind === 'put' ? state : undefined });
    this.revision = event.modRevision;
  }
}

/** What a deletion looks like. */
export function deletion(key: string, revision: number): SeenEvent {
  return {
    kind: 'delete',
    key,
    writer: '',
    bytes: 0,
    createRevision: 0,
    modRevision: revision,
    version: 0,
    lease: 0n,
  };
}

export function isSameKey(one: FoundKey | undefined, other: FoundKey | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.key === other.key &&
    one.writer === other.writer &&
    one.bytes === other.bytes &&
    one.createRevision === other.createRevision &&
    one.modRevision === other.modRevision &&
    one.version === other.version &&
    one.lease === other.lease
  );
}

export function isSameEvent(one: SeenEvent, other: SeenEvent): boolean {
  return one.kind === other.kind && isSameKey(one, other);
}

export function describeKey(state: FoundKey | undefined): string {
  if (state === undefined) return 'no key';
  const { key, writer, bytes, createRevision, modRevision, version, lease } = state;
  return `${key}=${writer}(${bytes} bytes) create ${createRevision} mod ${modRevision} version ${version} lease ${lease}`;
}

export function describeEvent(event: SeenEvent | undefined): string {
  if (event === undefined) return 'nothing';
  return event.kind === 'put'
    ? `put ${describeKey(event)}`
    : `delete of ${event.key} at ${event.modRevision}`;
}
