import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type EngineOptions } from '../engine/engine-options.js';
import { type AutoCompactionOptions } from '../engine/replica/auto-compaction.js';
import { minLeaseTtlSeconds } from '../engine/lease/lessor.js';
import { type AutoCompaction } from '../options/auto-compaction.js';
import { deriveFoundingIdentity } from '../options/identity.js';
import { type ServerOptions } from '../options/server-options.js';
import { IdentityFileError, readIdentity, type StoredIdentity, writeIdentity } from './identity-file.js';

const walSegmentBytes = 64 * 1024 * 1024;

/** Where a member keeps its state inside the data directory, as etcd does. */
export function memberDirectory(dataDir: string): string {
  return join(dataDir, 'member');
}

/** The token of clusters whose founder gave none; it says nothing about which cluster is meant. */
const defaultClusterToken = 'etcd-cluster';

/**
 * Who this member is: what its directory says, or, on the first start, what follows from the flags.
 *
 * @throws IdentityFileError when the directory belongs to another cluster, or to etcd.
 */
export function resolveIdentity(options: ServerOptions): StoredIdentity {
  const directory = memberDirectory(options.dataDir);
  const token = options.initialClusterToken;
  const stored = readIdentity(directory);
  if (stored !== undefined) {
    refuseOtherCluster(options.dataDir, stored, token);
    return stored;
  }
  refuseEtcd(options.dataDir);
  const { clusterId, memberId } = deriveFoundingIdentity(options.initialMembers, options.name, token);
  const identity = { clusterId, memberId, clusterToken: token };
  writeIdentity(directory, identity);
  return identity;
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

/** The options as the engine takes them. @param clientUrls URLs that are published to clients. */
export function engineOptionsOf(
  options: ServerOptions,
  identity: StoredIdentity,
  clientUrls: readonly string[],
): EngineOptions {
  return {
    directory: memberDirectory(options.dataDir),
    ...(options.walDir === '' ? {} : { walDirectory: options.walDir }),
    name: options.name,
    clusterId: identity.clusterId,
    memberId: identity.memberId,
    peerUrls: options.initialAdvertisePeerUrls.map(({ text }) => text),
    clientUrls,
    heartbeatMs: options.heartbeatInterval,
    electionMs: options.electionTimeout,
    limits: {
      maxRequestBytes: options.maxRequestBytes,
      maxTxnOps: options.maxTxnOps,
      quotaBackendBytes: options.quotaBytes ?? 0,
      minLeaseTtlSeconds: minLeaseTtlSeconds(options.electionTimeout),
    },
    autoCompaction: compactionOf(options.autoCompaction),
    watchProgressIntervalMs: options.watchProgressNotifyInterval,
    walSegmentBytes,
  };
}

function compactionOf(compaction: AutoCompaction): AutoCompactionOptions {
  switch (compaction.mode) {
    case 'off':
      return { mode: 'periodic', retention: 0 };
    case 'periodic':
      return { mode: 'periodic', retention: compaction.retentionMs };
    case 'revision':
      return { mode: 'revision', retention: compaction.retentionRevisions };
  }
}
