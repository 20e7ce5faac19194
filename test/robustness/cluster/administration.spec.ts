import { afterEach, describe, expect, it, vi } from 'vitest';
import { runEtcdctl } from '../../e2e/server/command.js';
import { hasProgram, type MemberProcess } from '../../members/member-process.js';
import { type ClusterTraffic } from './cluster-traffic.js';
import { LoadedCluster } from './loaded-cluster.js';
import { type TestedCluster } from './tested-cluster.js';

const note = hasProgram('etcdctl') ? '' : ' (left out: needs etcdctl)';
/** A change of members is refused while the cluster is not steady, and a promotion until the learner has caught up. */
const insisting = { timeout: 30_000, interval: 200 };
/** How much must be written between two commands. */
const writesBetween = 60;

interface MemberStatus {
  readonly Endpoint: string;
  readonly Status: { readonly header: { readonly member_id: number }; readonly leader: number };
}

/** An operator with etcdctl at a cluster that is under load. */
class Administration {
  readonly done: string[] = [];

  constructor(
    private readonly cluster: TestedCluster,
    private readonly traffic: ClusterTraffic,
  ) {}

  /** Runs a command at one member until it succeeds, and lets the load go on. Gives its output. */
  async run(member: MemberProcess, ...args: readonly string[]): Promise<string> {
    const output = await vi.waitFor(async () => {
      const { code, stdout, stderr } = await runEtcdctl(member.address, args);
      expect([code, stderr]).toEqual([0, '']);
      return stdout.toString('utf8');
    }, insisting);
    this.done.push(`etcdctl ${args.join(' ')}: ${output.split('\n')[0]}`);
    await this.traffic.progress(writesBetween, `writes after ${args.join(' ')}`);
    return output;
  }

  /** The members as `endpoint status --cluster` has them; all name the same leader. */
  async status(member: MemberProcess): Promise<readonly MemberStatus[]> {
    const read = async (): Promise<readonly MemberStatus[]> => {
      const { stdout } = await runEtcdctl(member.address, ['endpoint', 'status', '--cluster', '-w', 'json']);
      const status = JSON.parse(stdout.toString('utf8')) as MemberStatus[];
      expect(new Set(status.map(({ Status }) => Status.leader)).size).toBe(1);
      return status;
    };
    const status = await vi.waitFor(read, insisting);
    this.done.push(`etcdctl endpoint status --cluster: ${status.length} members, one leader`);
    await this.traffic.progress(writesBetween, 'writes after a look at the status');
    return status;
  }

  async hexId(member: MemberProcess): Promise<string> {
    return (await this.cluster.idOf(member)).toString(16);
  }
}

let loaded: LoadedCluster | undefined;
afterEach(async () => {
  await loaded?.end();
});

/** A follower is given another peer URL, and its connections are ended, so that the others have to use it. */
async function moveFollower(operator: Administration, members: TestedCluster): Promise<void> {
  const [moved] = await members.followers();
  const port = await members.links.move(moved.name);
  await operator.run(
    await members.leader(),
    ...['member', 'update', await operator.hexId(moved), `--peer-urls=http://127.0.0.1:${port}`],
  );
  members.links.reset(moved.name);
}

describe.skipIf(note !== '')(`etcdctl administers three members under load${note}`, () => {
  it('status, add, update, promote, move-leader and remove: no write is lost or doubled', async () => {
    loaded = await LoadedCluster.start(1);
    const { cluster: members, traffic: load } = loaded;
    const operator = new Administration(members, load);
    const founder = await members.leader();
    expect(await operator.status(founder)).toHaveLength(3);

    const joining = await members.prepareJoining();
    const urls = `--peer-urls=${joining.advertisedPeerUrl}`;
    await operator.run(founder, 'member', 'add', joining.name, '--learner', urls);
    await members.start(joining);
    expect(await operator.status(founder)).toHaveLength(4);
    await moveFollower(operator, members);
    await operator.run(await members.leader(), 'member', 'promote', await operator.hexId(joining));

    const before = await members.leader();
    await operator.run(before, 'move-leader', await operator.hexId(joining));
    expect(await members.leader()).toBe(joining);
    const leavingId = await operator.hexId(before);
    const ended = members.endsByItself(before, 'the end of the removed member');
    await operator.run(joining, 'member', 'remove', leavingId);
    expect(await ended).toBe(0);
    await members.dismiss(before);
    expect(await operator.status(joining)).toHaveLength(3);
    const list = await operator.run(joining, 'member', 'list');
    expect(list.match(/, started, m\d, .*, false$/gm)).toHaveLength(3);

    expect(await loaded.findings()).toEqual([]);
    const { operations, acknowledged } = load.recorder;
    const judged = `${operations.length} operations of six clients judged, ${acknowledged} acknowledged: nothing lost or doubled`;
    process.stdout.write(`${[...operator.done, judged].join('\n')}\n`);
  }, 180_000);
});
