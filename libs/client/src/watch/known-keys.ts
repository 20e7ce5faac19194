import { type mvccpb } from '@conclave/protocol';
import { type KeyNamespace } from '../key-range.js';
import { deleteChange, type KeyChange, putChange } from './revision-batch.js';

/**
 * The keys that exist in the watched range at the last delivered revision. They are what makes a delete visible that
 * nobody saw: a key that was known and is in no list any more. Costs memory for the names, not for the values.
 */
export class KnownKeys {
  /** One character per byte, so that keys that are no UTF-8 stay apart. */
  private readonly names: Set<string>;

  private constructor(names: Set<string>) {
    this.names = names;
  }

  static of(keys: Iterable<Uint8Array>): KnownKeys {
    const names = new Set<string>();
    for (const key of keys) names.add(Buffer.from(key).toString('latin1'));
    return new KnownKeys(names);
  }

  apply(event: { readonly deleted: boolean; readonly key: Buffer }): void {
    const name = event.key.toString('latin1');
    if (event.deleted) this.names.delete(name);
    else this.names.add(name);
  }

  /**
   * The changes that lead from the state at `delivered` to the listed one: a put for every key that changed since, a
   * delete for every known key that is gone, deletes first. With `everything` all listed keys count as changed.
   */
  changesTo(
    listed: readonly mvccpb.KeyValue[],
    delivered: bigint,
    everything: boolean,
    names: KeyNamespace,
  ): KeyChange[] {
    const gone = new Set(this.names);
    const changes: KeyChange[] = [];
    for (const kv of listed) {
      const name = kv.key.toString('latin1');
      gone.delete(name);
      if (!everything && kv.mod_revision <= delivered) continue;
      changes.push(putChange(kv, !this.names.has(name) || kv.create_revision > delivered, names));
    }
    const deletes = [...gone].map((name) => deleteChange(Buffer.from(name, 'latin1'), names));
    return [...deletes, ...changes];
  }
}
