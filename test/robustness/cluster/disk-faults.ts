import { etcdserverpb } from '@conclave/protocol';
import { type MemberProcess } from '../../members/member-process.js';
import { delay } from '../traffic/within.js';
import { type Fault, type FaultScene } from './fault.js';

const { AlarmType } = etcdserverpb;

/** A store grows with every write of this size, once it has used up what a compaction gave back. */
const padding = 256 * 1024;
const writesMax = 600;
const attemptsMax = 200;

/** Writes until the members refuse writes for lack of space. @throws Error when they never do. */
async function writeUntilAlarm({ cluster, traffic }: FaultScene): Promise<void> {
  for (let write = 0; write < writesMax; write++) {
    const client = cluster.client(cluster.running[write % cluster.running.length]);
    await traffic.putThrough(client, padding);
    const alarms = await client.alarms().catch((): etcdserverpb.AlarmType[] => []);
    await client.close();
    if (alarms.includes(AlarmType.NOSPACE)) return;
  }
  throw new Error(`${writesMax} large writes raised no alarm although a disk is full`);
}

/** Disarms until a write goes through again: a member may still notice that it had no space. */
async function disarm({ cluster, traffic }: FaultScene): Promise<void> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const client = cluster.client(await cluster.leader());
    const isDisarmed = await client.disarm().then(
      () => true,
      () => false,
    );
    const isOver = isDisarmed && (await traffic.putThrough(client, 0)).kind === 'done';
    await client.close();
    if (isOver) return;
    await delay(100);
  }
  throw new Error('the alarm stays although there is space again');
}

/** The disk of one member is full: NOSPACE stops all writes, nothing else; with space and without alarm they go on. */
async function fillDiskOf(scene: FaultScene, member: MemberProcess): Promise<void> {
  const { cluster, chance, traffic } = scene;
  const { disk } = cluster.machineOf(member);
  if (disk === undefined) throw new Error(`${member.name} has no disk of its own`);
  await disk.fill(member.pid);
  await writeUntilAlarm(scene);
  const isKilled = chance.chance(0.5);
  if (isKilled) {
    await cluster.kill(member, chance.chance(0.5) ? 'SIGKILL' : 'SIGTERM');
    const refusal = await cluster.tryStart(member);
    if (refusal !== undefined && !/the disk is full\. Free at least \d+ bytes/.test(refusal))
      traffic.violations.push(`${member.name} did not say why it does not start on a full disk: ${refusal}`);
  }
  await delay(chance.below(1_000));
  await disk.clear(cluster.isDown(member) ? undefined : member.pid);
  await disarm(scene);
}

/** Disks without space: a small file system of the member's own is filled. */
export const diskFaults: readonly Fault[] = [
  {
    name: 'the disk of the leader is full',
    keepsMajority: true,
    needs: 'small disks',
    strike: async (scene) => fillDiskOf(scene, await scene.cluster.leader()),
  },
  {
    name: 'the disk of a follower is full',
    keepsMajority: true,
    needs: 'small disks',
    strike: async (scene) => fillDiskOf(scene, scene.chance.pick(await scene.cluster.followers())),
  },
];
