import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasProgram, repositoryRoot } from '../members/member-process.js';
import { type ClusterEffort, type ClusterFigures, measureCluster } from './cluster/cluster.js';
import { measureMillionKeys } from './million-keys.js';
import { profilePuts, type PutProfile } from './profile.js';
import {
  comparisonTable,
  describeMachine,
  limitTable,
  millionKeyTable,
  profileTable,
  sdkTable,
} from './report.js';
import { compareRequests, putLoad } from './requests.js';
import { type Comparison } from './rounds.js';
import { measureSdk, type SdkFigures } from './sdk/sdk.js';
import { Target, type TargetName } from './target.js';
import { compareWatch } from './watch.js';

const usage = `npm run bench -- [options]
  --only=requests,watch,keys,cluster,sdk,profile   parts to run, default all; of the cluster part alone
                               cluster-requests, failover, transfer, catch-up
  --shape=TEXT                 of the requests only shapes whose name contains this
  --rounds=N                   alternating rounds per figure, default 5
  --seconds=N                  length of a round, default 5
  --keys=N                     keys of the memory part, default 1000000
  --kills=N                    kills of a leader, default 50
  --quick                      one short round of everything, to see that it works`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'requests,watch,keys,cluster,sdk,profile' },
    shape: { type: 'string', default: '' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    keys: { type: 'string', default: '1000000' },
    kills: { type: 'string', default: '50' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function withTargets<T>(run: (targets: Record<TargetName, Target>) => Promise<T>): Promise<T> {
  const targets = { conclave: await Target.create('conclave'), etcd: await Target.create('etcd') };
  try {
    await targets.conclave.start();
    await targets.etcd.start();
    return await run(targets);
  } finally {
    await targets.conclave.remove();
    await targets.etcd.remove();
  }
}

function effortOf(): ClusterEffort {
  const quick = { rounds: 1, seconds: 1, warmUpSeconds: 1, kills: 1, transfers: 1, entriesBehind: 12_000 };
  if (values.quick) return quick;
  const { rounds, seconds, kills } = values;
  return {
    rounds: Number(rounds),
    seconds: Number(seconds),
    warmUpSeconds: 2,
    kills: Number(kills),
    transfers: 10,
    entriesBehind: 100_000,
  };
}

async function clusterFigures(parts: readonly string[], effort: ClusterEffort): Promise<ClusterFigures> {
  const figures = await measureCluster(effort, (part) => parts.includes('cluster') || parts.includes(part));
  if (figures.comparisons.length > 0) process.stdout.write(`${comparisonTable(figures.comparisons)}\n\n`);
  if (figures.limits.length > 0) process.stdout.write(`${limitTable(figures.limits)}\n\n`);
  return figures;
}

async function sdkFigures(effort: ClusterEffort): Promise<SdkFigures> {
  const figures = await withTargets((targets) => measureSdk(targets, effort));
  process.stdout.write(
    `${sdkTable(figures.rows)}\n\n${limitTable(figures.limits, 'one client process')}\n\n`,
  );
  return figures;
}

async function main(): Promise<void> {
  const missing = ['etcd', 'h2load'].filter((program) => !hasProgram(program));
  if (missing.length > 0)
    throw new Error(`install these first: ${missing.join(', ')} (Debian: etcd-server, nghttp2-client)`);
  const effort = effortOf();
  const keys = values.quick ? 20_000 : Number(values.keys);
  const parts = values.only.split(',');
  const machine = describeMachine();
  process.stdout.write(`${JSON.stringify(machine)}\n\n`);
  const comparisons: Comparison[] = [];
  if (parts.includes('requests')) {
    comparisons.push(...(await withTargets((targets) => compareRequests(targets, effort, values.shape))));
  }
  if (parts.includes('watch'))
    comparisons.push(await withTargets((targets) => compareWatch(targets, effort)));
  if (comparisons.length > 0) process.stdout.write(`${comparisonTable(comparisons)}\n\n`);
  const millionKeys = parts.includes('keys')
    ? await withTargets((targets) => measureMillionKeys(targets, keys, effort.seconds))
    : undefined;
  if (millionKeys !== undefined) process.stdout.write(`${millionKeyTable(millionKeys)}\n\n`);
  const cluster = await clusterFigures(parts, effort);
  const sdk = parts.includes('sdk') ? await sdkFigures(effort) : undefined;
  const profiles: PutProfile[] = [];
  if (parts.includes('profile')) {
    profiles.push(await profilePuts(putLoad(100, 1, effort)), await profilePuts(putLoad(4, 50, effort)));
  }
  for (const profile of profiles) process.stdout.write(`${profileTable(profile)}\n\n`);
  const folder = join(repositoryRoot, 'test/benchmark/results');
  mkdirSync(folder, { recursive: true });
  const result = {
    at: new Date().toISOString(),
    machine,
    effort,
    comparisons,
    millionKeys,
    cluster,
    sdk,
    profiles,
  };
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(result, null, 2)}\n`);
}

if (values.help) process.stdout.write(`${usage}\n`);
else await main();
