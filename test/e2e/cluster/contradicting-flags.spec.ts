import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ClusterPlace, MemberProcess } from '../../members/member-process.js';
import { ClusterFixture } from './cluster-fixture.js';

/** Flags of a member that has data, and contradict it. The data is right: whatever happens, nothing of it changes. */
describe('a member that is started with flags that contradict its data', () => {
  let fixture: ClusterFixture;
  let other: MemberProcess | undefined;

  beforeAll(async () => {
    fixture = await ClusterFixture.start(3);
    await fixture.client().kv.put('kept', 'before');
  });

  afterEach(() => other?.stop('SIGKILL'));

  afterAll(() => fixture.end());

  /** The first member with other flags, on the same data. */
  async function restarted(change: Partial<ClusterPlace>, flags: string[] = []): Promise<MemberProcess> {
    const [member] = fixture.members;
    await member!.stop();
    const { name, clientPort, peerPort } = member!;
    const initialCluster = fixture.members.map((each) => `${each.name}=${each.peerUrl}`).join(',');
    const place = { name, clientPort, peerPort, initialCluster, state: 'new' as const, ...change };
    other = await MemberProcess.create('conclave', { directory: member!.directory, place, flags });
    return other;
  }

  async function expectWhole(): Promise<void> {
    const [member] = fixture.members;
    await member!.start();
    expect((await fixture.client([member!]).kv.get('kept'))?.text).toBe('before');
    const status = await Promise.all(fixture.members.map((each) => fixture.status(each)));
    expect(new Set(status.map(({ header }) => header?.cluster_id)).size).toBe(1);
    expect(new Set(status.map(({ header }) => header?.member_id)).size).toBe(3);
    await fixture.client([member!]).kv.put('after', 'x');
  }

  /** What it says before it ends with code 1. */
  async function refusal(member: MemberProcess): Promise<string> {
    expect(await member.startExpectingEnd()).toBe(1);
    return member.output;
  }

  it('is refused when they name another cluster', async () => {
    const renamed = await restarted({}, ['--initial-cluster-token=another']);
    expect(await refusal(renamed)).toMatch(
      /holds data of cluster [0-9a-f]+ .*--initial-cluster-token is .*another.*Give that cluster's token/,
    );
    await expectWhole();
  });

  it.each([
    ['new', 'm1=http://127.0.0.1:3,m8=http://127.0.0.1:1'],
    ['existing', 'm1=http://127.0.0.1:3,m8=http://127.0.0.1:1'],
    ['new', 'm8=http://127.0.0.1:1,m9=http://127.0.0.1:2'],
  ] as const)(
    'goes by its data, and says so, when a %s --initial-cluster is %s',
    async (state, initialCluster) => {
      const misled = await restarted({ initialCluster, state });
      await misled.start();
      expect(misled.output).toMatch(
        /the data directory says who this member is; --initial-cluster and -state are not/,
      );
      expect((await fixture.client([misled]).kv.get('kept'))?.text).toBe('before');
      const members = (await (await fetch(`${misled.peerUrl}/members`)).json()) as { name: string }[];
      expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
      await misled.stop();
      await expectWhole();
    },
  );
});
