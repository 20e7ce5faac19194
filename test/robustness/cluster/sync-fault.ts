import { spawn } from 'node:child_process';
import { type MemberProcess } from '../../members/member-process.js';
import { canInject } from '../storage-faults/tracer.js';
import { type Fault, type FaultScene } from './fault.js';

/** Makes every `fdatasync` of a running process fail, after the first few of each thread. Resolves when that holds. */
async function failSyncs(pid: number, first: number): Promise<void> {
  const inject = `inject=fdatasync,fsync:error=EIO:when=${first}+`;
  const args = ['-f', '-p', String(pid), '-o', '/dev/null', '-e', 'trace=fdatasync,fsync', '-e', inject];
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    let text = '';
    tracer.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('attached')) resolve();
    });
    tracer.once('error', reject);
    tracer.once('exit', () => reject(new Error(`strace ended before it was attached: ${text}`)));
  });
}

/** The member must end by itself, for what a failed sync left on the disk is not known. */
async function failDiskOf({ cluster, traffic, chance }: FaultScene, member: MemberProcess): Promise<void> {
  const { pid } = member;
  const ended = cluster.endsByItself(member, `the end of ${member.name} after a failed sync`);
  await failSyncs(pid, 1 + chance.below(30));
  const end = await ended;
  const isFatal = cluster.kind === 'etcd' || (end === 1 && member.output.includes('"level":"fatal"'));
  if (!isFatal)
    traffic.violations.push(`${member.name} ended with ${end} after a failed sync:\n${member.output}`);
}

/** Disks that fail; strace does it. */
export const syncFaults: readonly Fault[] = [
  {
    name: 'fsync fails at the leader',
    keepsMajority: true,
    isPossible: canInject,
    strike: async (scene) => failDiskOf(scene, await scene.cluster.leader()),
  },
  {
    name: 'fsync fails at a follower',
    keepsMajority: true,
    isPossible: canInject,
    strike: async (scene) => failDiskOf(scene, scene.chance.pick(await scene.cluster.followers())),
  },
];
