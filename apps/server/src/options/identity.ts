import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';

/** The first eight bytes of a SHA-1 digest as an unsigned number, most significant byte first. */
function first64Bits(input: string | Uint8Array): bigint {
  return createHash('sha1').update(input).digest().readBigUInt64BE(0);
}

/**
 * The id of a member, as etcd derives it: a hash of its peer URLs (sorted, without separators), the token of the
 * cluster and, for a member added to a running cluster, the time of that in seconds.
 *
 * @param peerUrls Advertised peer URLs, in any order.
 * @param addedAtSeconds Unix time at which a running cluster added the member; undefined for a founding member.
 */
export function deriveMemberId(
  peerUrls: readonly string[],
  clusterToken: string,
  addedAtSeconds?: number,
): bigint {
  const joined = [...peerUrls].sort().join('');
  return first64Bits(joined + clusterToken + (addedAtSeconds === undefined ? '' : String(addedAtSeconds)));
}

/** The id of a cluster, as etcd derives it: a hash of the founding members' ids, sorted, eight bytes each. */
export function deriveClusterId(memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  const sorted = [...memberIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  sorted.forEach((id, index) => bytes.writeBigUInt64BE(id, 8 * index));
  return first64Bits(bytes);
}

/** A founding member of a cluster. */
export interface FoundingMember {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
}

/** The ids that a cluster starts with, which every founding member computes alike from `initial-cluster`. */
export interface FoundingIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly members: readonly FoundingMember[];
}

/**
 * @param initialCluster Peer URLs by member name.
 * @param name The own name; must be among them.
 */
export function deriveFoundingIdentity(
  initialCluster: ReadonlyMap<string, readonly string[]>,
  name: string,
  clusterToken: string,
): FoundingIdentity {
  const members = [...initialCluster].map(([memberName, peerUrls]) => ({
    id: deriveMemberId(peerUrls, clusterToken),
    name: memberName,
    peerUrls: [...peerUrls].sort(),
  }));
  const own = members.find((member) => member.name === name);
  if (own === undefined) throw new RangeError(`the initial cluster has no member named "${name}"`);
  return { clusterId: deriveClusterId(members.map(({ id }) => id)), memberId: own.id, members };
}
