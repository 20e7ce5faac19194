import { type Chance } from '../../compat/chance.js';
import { type Condition } from '../cluster/link.js';
import { between } from '../cluster/member-network.js';
import { type TestedCluster } from '../cluster/tested-cluster.js';
import { delay } from '../traffic/within.js';
import { type WorkerProcess } from './workforce.js';

/** What a disturbance can reach. */
export interface Scene {
  readonly cluster: TestedCluster;
  readonly workers: readonly WorkerProcess[];
  readonly chance: Chance;
  readonly ttlMs: number;
}

/** Breaks something, leaves it so for a while, and mends it. */
export interface Disturbance {
  readonly name: string;
  strike(scene: Scene): Promise<void>;
}

/** More often the one that holds the lock: of the others less is expected. */
function someWorker({ workers, chance }: Scene): WorkerProcess {
  const target = chance.chance(0.7) ? workers.find((worker) => worker.saysThatItHolds) : undefined;
  return target ?? chance.pick(workers);
}

/** Shorter than a lease, or longer. */
function aWhile({ chance, ttlMs }: Scene): Promise<void> {
  return delay(100 + Math.floor(2 * ttlMs * chance.next()));
}

async function cut(
  scene: Scene,
  condition: Condition,
  direction: 'toServer' | 'toClient' | 'both',
): Promise<void> {
  const worker = someWorker(scene);
  for (const line of worker.lines) {
    if (direction === 'both') line.condition = condition;
    else line[direction].condition = condition;
  }
  await aWhile(scene);
  worker.heal();
}

async function isolate(scene: Scene, isLeader: boolean, condition: Condition): Promise<void> {
  const { cluster, chance } = scene;
  const member = isLeader ? await cluster.leader() : chance.pick(await cluster.followers());
  const others = cluster.members.filter((other) => other !== member).map(({ name }) => name);
  between(cluster.network, [member.name], others, condition);
  await aWhile(scene);
  cluster.network.heal();
}

async function killMember(scene: Scene, isLeader: boolean): Promise<void> {
  const { cluster, chance } = scene;
  const member = isLeader ? await cluster.leader() : chance.pick(await cluster.followers());
  await cluster.kill(member);
  await aWhile(scene);
  await cluster.start(member);
}

async function freezeMember(scene: Scene, isLeader: boolean): Promise<void> {
  const { cluster, chance } = scene;
  const member = isLeader ? await cluster.leader() : chance.pick(await cluster.followers());
  cluster.pause(member);
  await aWhile(scene);
  cluster.resume(member);
}

/** The first worker cannot send from shortly after a grant on, for longer than its lease lives. */
export const firstWorkerLoses: Disturbance = {
  name: 'first worker cut off as soon as it holds',
  strike: async ({ workers, ttlMs }) => {
    const [first] = workers;
    // Not in the middle of a turn: there would not be enough of it left.
    while (first.saysThatItHolds) await delay(5);
    while (!first.saysThatItHolds) await delay(5);
    for (const line of first.lines) line.toServer.condition = { kind: 'lost' };
    await delay(2.5 * ttlMs);
    first.heal();
  },
};

export const ofWorkers: readonly Disturbance[] = [
  { name: 'worker cut off', strike: (scene) => cut(scene, { kind: 'lost' }, 'both') },
  { name: 'worker cannot send', strike: (scene) => cut(scene, { kind: 'lost' }, 'toServer') },
  { name: 'worker is not answered', strike: (scene) => cut(scene, { kind: 'lost' }, 'toClient') },
  { name: 'worker held up', strike: (scene) => cut(scene, { kind: 'held' }, 'both') },
  { name: 'worker sends late', strike: (scene) => cut(scene, { kind: 'held' }, 'toServer') },
  { name: 'worker killed', strike: (scene) => someWorker(scene).restart() },
  {
    name: 'worker frozen',
    strike: async (scene) => {
      const worker = someWorker(scene);
      worker.freeze();
      await aWhile(scene);
      worker.thaw();
    },
  },
];

export const ofMembers: readonly Disturbance[] = [
  { name: 'leader killed', strike: (scene) => killMember(scene, true) },
  { name: 'follower killed', strike: (scene) => killMember(scene, false) },
  { name: 'leader frozen', strike: (scene) => freezeMember(scene, true) },
  { name: 'follower frozen', strike: (scene) => freezeMember(scene, false) },
  { name: 'leader cut off', strike: (scene) => isolate(scene, true, { kind: 'lost' }) },
  { name: 'follower held up', strike: (scene) => isolate(scene, false, { kind: 'held' }) },
];
