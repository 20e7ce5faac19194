import { type MemberProcess } from '../../members/member-process.js';
import { delay } from '../traffic/within.js';
import { type Fault, type FaultScene } from './fault.js';

async function killSome({ cluster, chance }: FaultScene, count: number): Promise<void> {
  const leader = await cluster.leader();
  const followers = cluster.running.filter((member) => member !== leader);
  const order = chance.chance(0.5) ? [leader, ...followers] : [...followers, leader];
  await Promise.all(order.slice(0, count).map((member) => cluster.kill(member)));
}

/** A member stands still for 0.1 to 5 s, more often for a short time. */
async function pauseOnce({ cluster, chance }: FaultScene, member: MemberProcess): Promise<void> {
  cluster.pause(member);
  await delay(100 + Math.floor(4_900 * chance.next() ** 2));
  cluster.resume(member);
}

async function anyFollower({ cluster, chance }: FaultScene): Promise<MemberProcess> {
  return chance.pick(await cluster.followers());
}

/** More entries than a leader keeps for members that are away, so that it must send its state. */
const floodWrites = 6_000;

async function fallBehind(scene: FaultScene): Promise<void> {
  const { cluster, traffic } = scene;
  const behind = await anyFollower(scene);
  await cluster.kill(behind);
  const others = cluster.running;
  await traffic.flood(others, Math.ceil(floodWrites / others.length));
  await cluster.start(behind);
  await traffic.progress(50, 'writes while a member catches up');
}

/** Members that die, end in order, or stand still. */
export const processFaults: readonly Fault[] = [
  {
    name: 'kill -9 the leader',
    keepsMajority: true,
    strike: async ({ cluster }) => cluster.kill(await cluster.leader()),
  },
  {
    name: 'kill -9 a follower',
    keepsMajority: true,
    strike: async (scene) => scene.cluster.kill(await anyFollower(scene)),
  },
  {
    name: 'kill -9 a majority',
    keepsMajority: false,
    strike: (scene) => killSome(scene, scene.cluster.majority),
  },
  {
    name: 'kill -9 all',
    keepsMajority: false,
    strike: (scene) => killSome(scene, scene.cluster.members.length),
  },
  {
    name: 'kill -9 during a start',
    keepsMajority: true,
    strike: async (scene) => {
      const follower = await anyFollower(scene);
      await scene.cluster.kill(follower);
      for (let i = 0; i < 2; i++) await scene.cluster.startAndKill(follower, scene.chance.below(900));
    },
  },
  {
    name: 'SIGTERM the leader',
    keepsMajority: true,
    strike: async ({ cluster }) => cluster.kill(await cluster.leader(), 'SIGTERM'),
  },
  {
    name: 'SIGSTOP the leader',
    keepsMajority: true,
    strike: async (scene) => pauseOnce(scene, await scene.cluster.leader()),
  },
  {
    name: 'SIGSTOP a follower',
    keepsMajority: true,
    strike: async (scene) => pauseOnce(scene, await anyFollower(scene)),
  },
  {
    name: 'SIGSTOP again and again',
    keepsMajority: true,
    strike: async (scene) => {
      const leader = await scene.cluster.leader();
      for (let i = 0; i < 4; i++) {
        scene.cluster.pause(leader);
        await delay(300 + scene.chance.below(1_200));
        scene.cluster.resume(leader);
        await delay(scene.chance.below(300));
      }
    },
  },
  { name: 'a follower falls far behind', keepsMajority: true, strike: fallBehind },
];
