import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nodeRuntime } from '@conclave/grpc';
import { type FoundingMember } from '../engine/engine-options.js';
import { type Logger } from '../engine/platform/logger.js';
import { deriveFoundingIdentity, type FoundingIdentity } from '../options/identity.js';
import { type ServerOptions } from '../options/server-options.js';
import { askMembers, type ClusterView } from '../peer/member-list.js';
import { defaultLimits } from '../peer/peer-context.js';
import { memberDirectory } from './engine-settings.js';
import { IdentityFileError, readIdentity, type StoredIdentity, writeIdentity } from './identity-file.js';
import { joinCluster, MembershipError } from './join-cluster.js';
import { readClientTls } from './tls-files.js';

/** Who this member is, and with whom. */
export interface Membership {
  readonly identity: StoredIdentity;
  /** Empty when this member joined a cluster that was there before. */
  readonly foundingMembers: readonly FoundingMember[];
  /** The other members that are known of before the first entry is applied, by id. */
  readonly others: ReadonlyMap<bigint, readonly string[]>;
}

/** Asks the member at a URL for its view of the cluster. */
export type AskMembers = (url: string, timeoutMs: number) => Promise<ClusterView>;

/** The token of clusters whose founder gave none; it says nothing about which cluster is meant. */
const defaultClusterToken = 'etcd-cluster';

/** A member that founds a cluster asks the others for so long whether it did so before. */
const foundingPatienceMs = 1_000;

/**
 * Who this member is: what its data directory says, or, on the first start, what follows from the flags and from the
 * cluster that it joins.
 *
 * @throws IdentityFileError when the directory belongs to another cluster, or to etcd.
 * @throws MembershipError when the cluster does not expect this member, or knows it from before, or when there is no
 * data to force a new cluster with.
 */
export async function resolveMembership(
  options: ServerOptions,
  logger: Logger,
  ask: AskMembers = askOverNetwork(options),
): Promise<Membership> {
  const directory = memberDirectory(options.dataDir);
  const stored = readIdentity(directory);
  if (stored !== undefined) return membershipOf(options, stored, logger);
  refuseEtcd(options.dataDir);
  if (options.forceNewCluster) throw nothingToForce(options.dataDir);
  const membership =
    options.initialClusterState === 'existing'
      ? await joinCluster(options, ask)
      : await foundCluster(options, ask);
  const { identity, foundingMembers } = membership;
  writeIdentity(directory, { ...identity, foundingMembers });
  return membership;
}

/** The data says who this member is; flags of a first start are not looked at any more, as in etcd. */
function membershipOf(options: ServerOptions, stored: StoredIdentity, logger: Logger): Membership {
  refuseOtherCluster(options.dataDir, stored, options.initialClusterToken);
  if (options.initialCluster !== '' || options.initialClusterState === 'existing') {
    logger.info(
      'the data directory says who this member is; --initial-cluster and -state are not looked at',
      {
        'local-member-id': stored.memberId.toString(16),
        'cluster-id': stored.clusterId.toString(16),
      },
    );
  }
  return { identity: stored, foundingMembers: foundersOf(options, stored), others: new Map() };
}

function nothingToForce(dataDir: string): MembershipError {
  return new MembershipError(
    `--force-new-cluster goes on with the data of a member whose cluster is lost, but --data-dir ${dataDir} is empty. Give ` +
      'the data directory of a survivor; to found a cluster or to join one, leave the flag out.',
  );
}

function foundersOf(options: ServerOptions, stored: StoredIdentity): readonly FoundingMember[] {
  if (stored.foundingMembers !== undefined) return stored.foundingMembers;
  const peerUrls = options.initialAdvertisePeerUrls.map(({ text }) => text).sort();
  return [{ id: stored.memberId, name: options.name, peerUrls }];
}

async function foundCluster(options: ServerOptions, ask: AskMembers): Promise<Membership> {
  const token = options.initialClusterToken;
  const founding = deriveFoundingIdentity(options.initialMembers, options.name, token);
  const { clusterId, memberId, members } = founding;
  const others = members.filter(({ id }) => id !== memberId);
  await Promise.all(
    others.flatMap(({ peerUrls }) => peerUrls.map((url) => refuseKnownMember(options, founding, url, ask))),
  );
  return {
    identity: { clusterId, memberId, clusterToken: token },
    foundingMembers: members,
    others: new Map(others.map(({ id, peerUrls }) => [id, peerUrls])),
  };
}

/**
 * A founding member whose directory is empty although it has run before has lost its votes and what it acknowledged.
 * Were it to start anew under its id, the cluster could lose what it had promised to keep.
 */
async function refuseKnownMember(
  options: ServerOptions,
  { clusterId, memberId }: FoundingIdentity,
  url: string,
  ask: AskMembers,
): Promise<void> {
  const view = await ask(url, foundingPatienceMs).catch(() => undefined);
  if (view === undefined) return;
  if (view.clusterId !== clusterId) {
    throw new MembershipError(
      `the member at ${url} belongs to cluster ${view.clusterId.toString(16)}, but --initial-cluster and ` +
        `--initial-cluster-token found cluster ${clusterId.toString(16)}. Give all founding members the same flags, or ` +
        'join the running cluster: add this member there and give --initial-cluster-state=existing.',
    );
  }
  const known = view.members.find(({ ID }) => ID === memberId);
  const id = memberId.toString(16);
  const again = `add it anew (etcdctl member add ${options.name} --peer-urls=…) and start it with --initial-cluster-state=existing.`;
  if (known === undefined) {
    throw new MembershipError(`member ${id} was removed from the cluster. To bring it back, ${again}`);
  }
  if (known.clientURLs.length === 0) return;
  throw new MembershipError(
    `member ${id} has run before, but --data-dir ${options.dataDir} is empty: what it had promised is lost, so it must ` +
      `not come back under its id. Restore the directory; or remove the member (etcdctl member remove ${id}), then ${again}`,
  );
}

/** Whoever names a cluster means that one; other flags may change after the cluster was founded. */
function refuseOtherCluster(dataDir: string, stored: StoredIdentity, token: string): void {
  if (token === stored.clusterToken || token === defaultClusterToken) return;
  throw new IdentityFileError(
    `${dataDir} holds data of cluster ${stored.clusterId.toString(16)} (token "${stored.clusterToken}"), but ` +
      `--initial-cluster-token is "${token}". Give that cluster's token, or another --data-dir.`,
  );
}

/** etcd keeps its store at member/snap/db, where this server has nothing. */
function refuseEtcd(dataDir: string): void {
  if (!existsSync(join(memberDirectory(dataDir), 'snap', 'db'))) return;
  throw new IdentityFileError(
    `${dataDir} is a data directory of etcd; it was left as it is. Give another --data-dir, and copy the keys over ` +
      'with `etcdctl make-mirror` from the running etcd.',
  );
}

function askOverNetwork(options: ServerOptions): AskMembers {
  const context = {
    runtime: nodeRuntime,
    limits: defaultLimits,
    tls: () => readClientTls(options.peerTls),
    onDefect: (error: unknown) => {
      throw error;
    },
  };
  return (url, timeoutMs) => askMembers(context, url, timeoutMs);
}
