import { type etcdserverpb } from '@conclave/protocol';
import { type Observable, Subject } from 'rxjs';
import { assert } from '../assert.js';
import { type StoreReplacement } from '../kv-store.js';

/** Taken when a call starts, compared when its answer arrives. */
export interface ReadMark {
  readonly generation: number;
  readonly revision: bigint;
}

/**
 * Which store the client talks to and how far it has seen it. Every answer passes here, so that neither another cluster
 * nor an earlier revision is ever taken for the store that was seen before.
 *
 * Invariants: `revision` grows within one generation; `clusterId` changes only together with `generation`.
 */
export class StoreIdentity {
  private clusterIdSeen = 0n;
  private revisionSeen = 0n;
  private generation = 0;
  private readonly replacements = new Subject<StoreReplacement>();
  readonly replaced$: Observable<StoreReplacement> = this.replacements.asObservable();

  /** 0n until the first answer. */
  get clusterId(): bigint {
    return this.clusterIdSeen;
  }

  mark(): ReadMark {
    return { generation: this.generation, revision: this.revisionSeen };
  }

  /** True when a member with this cluster id may be used: it is the first one, or of the cluster that was seen. */
  matches(clusterId: bigint): boolean {
    return this.clusterIdSeen === 0n || this.clusterIdSeen === clusterId;
  }

  /**
   * Judges the header of an answer. `foreign`: of another cluster. `behind`: older than what was seen when the call
   * started; that is a lagging member for a serializable read, and another store for a linearizable one.
   */
  admit(header: etcdserverpb.ResponseHeader | undefined, mark: ReadMark): 'ok' | 'foreign' | 'behind' {
    if (header === undefined) return 'ok';
    if (!this.matches(header.cluster_id)) return 'foreign';
    if (this.clusterIdSeen === 0n) this.clusterIdSeen = header.cluster_id;
    if (header.revision === 0n || mark.generation !== this.generation) return 'ok';
    if (header.revision < mark.revision) return 'behind';
    if (header.revision > this.revisionSeen) this.revisionSeen = header.revision;
    return 'ok';
  }

  /** From now on the store is this one. `revision` is 0n when it is not known yet. */
  adopt(clusterId: bigint, revision: bigint): void {
    assert(clusterId !== 0n, 'a store has a cluster id');
    const previousClusterId = this.clusterIdSeen;
    this.clusterIdSeen = clusterId;
    this.revisionSeen = revision;
    this.generation += 1;
    this.replacements.next({ previousClusterId, clusterId });
  }

  close(): void {
    this.replacements.complete();
  }
}
