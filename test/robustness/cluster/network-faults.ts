import { type MemberProcess } from '../../members/member-process.js';
import { delay } from '../traffic/within.js';
import { type Fault, type FaultScene } from './fault.js';
import { type Condition, type Link } from './link.js';
import { between } from './member-network.js';

/** What is cut is held back and comes later, or is lost with its connection. */
function cut({ chance }: FaultScene): Condition {
  return { kind: chance.chance(0.5) ? 'held' : 'lost' };
}

const namesOf = (members: readonly MemberProcess[]): string[] => members.map(({ name }) => name);

/** Cuts some members off from the others, in both directions. */
function isolate(scene: FaultScene, some: readonly MemberProcess[]): void {
  const { cluster } = scene;
  const others = cluster.members.filter((member) => !some.includes(member));
  between(cluster.network, namesOf(some), namesOf(others), cut(scene));
}

/** Cuts one direction between a member and all others. */
function mute(scene: FaultScene, member: MemberProcess, direction: 'sends' | 'hears'): void {
  const { cluster } = scene;
  const condition = cut(scene);
  for (const { name } of cluster.members) {
    const [from, to] = direction === 'sends' ? [member.name, name] : [name, member.name];
    cluster.network.way(from, to).condition = condition;
  }
}

/** As many members as can be lost, the leader among them or not. */
async function minority({ cluster, chance }: FaultScene): Promise<MemberProcess[]> {
  const [leader, followers] = [await cluster.leader(), await cluster.followers()];
  const order = chance.chance(0.5) ? [leader, ...followers] : [...followers, leader];
  return order.slice(0, cluster.members.length - cluster.majority);
}

/** Two sides that do not see each other, and one member that sees both. */
function bridge(scene: FaultScene): void {
  const { cluster, chance } = scene;
  const names = namesOf(cluster.members);
  const [middle] = names.splice(chance.below(names.length), 1);
  const half = names.length / 2;
  if (middle !== undefined) between(cluster.network, names.slice(0, half), names.slice(half), cut(scene));
}

/** Every link between two members. */
function* links({ cluster }: FaultScene): Generator<Link> {
  for (const { name: from } of cluster.members)
    for (const { name: to } of cluster.members) if (from !== to) yield cluster.links.link(from, to);
}

async function followerOf({ cluster, chance }: FaultScene): Promise<MemberProcess> {
  return chance.pick(await cluster.followers());
}

const partitions: readonly Fault[] = [
  {
    name: 'isolate the leader',
    keepsMajority: true,
    strike: async (scene) => isolate(scene, [await scene.cluster.leader()]),
  },
  {
    name: 'isolate a follower',
    keepsMajority: true,
    strike: async (scene) => isolate(scene, [await followerOf(scene)]),
  },
  {
    name: 'isolate a minority',
    keepsMajority: true,
    strike: async (scene) => isolate(scene, await minority(scene)),
  },
  {
    name: 'isolate everybody',
    keepsMajority: false,
    strike: async (scene) => {
      const names = namesOf(scene.cluster.members);
      between(scene.cluster.network, names, names, cut(scene));
    },
  },
  {
    name: 'one way: the leader cannot send',
    keepsMajority: true,
    strike: async (scene) => mute(scene, await scene.cluster.leader(), 'sends'),
  },
  {
    name: 'one way: the leader cannot hear',
    keepsMajority: true,
    strike: async (scene) => mute(scene, await scene.cluster.leader(), 'hears'),
  },
  {
    name: 'one way: a follower cannot send',
    keepsMajority: true,
    strike: async (scene) => mute(scene, await followerOf(scene), 'sends'),
  },
  {
    name: 'one way: a follower cannot hear',
    keepsMajority: true,
    strike: async (scene) => mute(scene, await followerOf(scene), 'hears'),
  },
  { name: 'bridge', keepsMajority: true, strike: async (scene) => bridge(scene) },
];

const disturbances: readonly Fault[] = [
  {
    name: 'links are slow',
    keepsMajority: true,
    needs: 'link proxies',
    strike: async (scene) => {
      for (const link of links(scene)) link.condition = { kind: 'delayed', ms: scene.chance.below(150) };
    },
  },
  {
    name: 'links stall again and again',
    keepsMajority: true,
    needs: 'link proxies',
    strike: async (scene) => {
      for (let i = 0; i < 8; i++) {
        for (const link of links(scene)) if (scene.chance.chance(0.3)) link.condition = { kind: 'held' };
        await delay(50 + scene.chance.below(400));
        scene.cluster.network.heal();
      }
    },
  },
  {
    name: 'connections are reset',
    keepsMajority: true,
    needs: 'link proxies',
    strike: async (scene) => {
      for (let i = 0; i < 8; i++) {
        for (const link of links(scene)) if (scene.chance.chance(0.3)) link.reset();
        await delay(scene.chance.below(300));
      }
    },
  },
  {
    name: 'connections are half closed',
    keepsMajority: true,
    needs: 'link proxies',
    strike: async (scene) => {
      for (let i = 0; i < 4; i++) {
        for (const link of links(scene)) if (scene.chance.chance(0.3)) link.halfClose();
        await delay(scene.chance.below(600));
      }
    },
  },
];

const combined: readonly Fault[] = [
  {
    name: 'isolate the leader, then kill -9 all',
    keepsMajority: false,
    strike: async (scene) => {
      isolate(scene, [await scene.cluster.leader()]);
      await delay(scene.chance.below(3_000));
      await Promise.all(scene.cluster.running.map((member) => scene.cluster.kill(member)));
    },
  },
  {
    name: 'leadership goes round in isolations',
    keepsMajority: true,
    strike: async (scene) => {
      for (let i = 0; i < 3; i++) {
        isolate(scene, [await scene.cluster.leader()]);
        await delay(500 + scene.chance.below(2_000));
        scene.cluster.network.heal();
      }
    },
  },
];

/** Links that are cut, slow, or break. */
export const networkFaults: readonly Fault[] = [...partitions, ...disturbances, ...combined];
