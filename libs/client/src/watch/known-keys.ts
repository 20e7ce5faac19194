import { Buffer } from 'node:buffer';
import { type mvccpb } from '@conclave/protocol';
import { type KeyNamespace } from '../key-range.js';
import { deleteChange, type KeyChange, putChange } from './revision-batch.js';

/** How a listed range differs from what is known of it. */
export interface Differences {
  /** Changes up to the position of the watch that it was never told of. */
  readonly lost: number;
  /** Keys that differ and may have changed after that position. */
  readonly later: number;
}

/**
 * The keys that exist in the watched range at the last delivered revision, each with the revision of its last change. They are
 * what makes a change visible that nobody saw: a key that was known and is in no list any more, or is there in another version.
 * Costs memory for the names, not for the values.
 */
export class KnownKeys {
  /** By name, one character per byte, so that keys that are no UTF-8 stay apart. 0n: the version is not known. */
  private constructor(private readonly versions: Map<string, bigint>) {}

  /** Keys of which only the names are known. */
  static named(keys: Iterable<Uint8Array>): KnownKeys {
    const versions = new Map<string, bigint>();
    for (const key of keys) versions.set(Buffer.from(key).toString('latin1'), 0n);
    return new KnownKeys(versions);
  }

  static listed(kvs: Iterable<mvccpb.KeyValue>): KnownKeys {
    const versions = new Map<string, bigint>();
    for (const kv of kvs) versions.set(kv.key.toString('latin1'), kv.mod_revision);
    return new KnownKeys(versions);
  }

  /** Takes an event, and gives the name of its key. */
  apply(event: { readonly deleted: boolean; readonly key: Buffer; readonly revision: bigint }): string {
    const name = event.key.toString('latin1');
    if (event.deleted) this.versions.delete(name);
    else this.versions.set(name, event.revision);
    return name;
  }

  /**
   * The changes that lead from the state at `delivered` to the listed one: a put for every key whose version is another one, a
   * delete for every known key that is gone, deletes first. With `everything` all listed keys count as changed.
   */
  changesTo(
    listed: readonly mvccpb.KeyValue[],
    delivered: bigint,
    everything: boolean,
    names: KeyNamespace,
  ): KeyChange[] {
    const gone = new Set(this.versions.keys());
    const changes: KeyChange[] = [];
    for (const kv of listed) {
      const name = kv.key.toString('latin1');
      gone.delete(name);
      const known = this.versions.get(name);
      if (!everything && isSameVersion(known, kv.mod_revision, delivered)) continue;
      changes.push(putChange(kv, known === undefined || kv.create_revision > delivered, names));
    }
    const deletes = [...gone].map((name) => deleteChange(Buffer.from(name, 'latin1'), names));
    return [...deletes, ...changes];
  }

  /**
   * What a list says that was read at `readAt`, and the events up to `position` did not. Keys that changed since then
   * (`touched`) are left out.
   */
  differences(
    listed: readonly mvccpb.KeyValue[],
    position: bigint,
    readAt: bigint,
    touched: ReadonlySet<string>,
  ): Differences {
    let lost = 0;
    let later = 0;
    const present = new Set<string>();
    for (const kv of listed) {
      const name = kv.key.toString('latin1');
      present.add(name);
      if (touched.has(name) || isSameVersion(this.versions.get(name), kv.mod_revision, position)) continue;
      if (kv.mod_revision <= position) lost += 1;
      else later += 1;
    }
    for (const name of this.versions.keys()) {
      if (present.has(name) || touched.has(name)) continue;
      // Read at the position of the watch, nothing that is gone can have gone later.
      if (readAt <= position) lost += 1;
      else later += 1;
    }
    return { lost, later };
  }
}

/** A key whose name alone is known is taken to be in the version that existed at `position`. */
function isSameVersion(known: bigint | undefined, listed: bigint, position: bigint): boolean {
  if (known === undefined) return false;
  return known === 0n ? listed <= position : known === listed;
}
