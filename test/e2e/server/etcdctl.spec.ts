import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textOf } from '../../compat/answer-text.js';
import { hasProgram, MemberProcess } from '../../members/member-process.js';
import { runEtcdctl } from './command.js';
import { RunningCommand } from './running-command.js';

/** What differs between any two members: ids, terms, addresses, durations. */
function normalised(text: string): string {
  return text
    .replace(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replace(/"(cluster_id|member_id|raft_term)":\d+/g, '"$1":0')
    .replace(/"(ClusterID|MemberID|RaftTerm)" : \d+/g, '"$1" : 0')
    .replace(/\b[0-9a-f]{11,16}\b/g, 'ID')
    .replace(/("ID"\s?:\s?)\d+/g, '$10')
    .replace(/took = \S+/g, 'took = TIME')
    .replace(/"took":"[^"]+"/g, '"took":"TIME"')
    .replace(/[\d.]+(µs|ms|s) \|/g, 'TIME |')
    .replace(/ {2,}/g, ' ')
    .replace(/-{3,}/g, '---');
}

describe.skipIf(!hasProgram('etcdctl') || !hasProgram('etcd'))('etcdctl', () => {
  let members: MemberProcess[] = [];

  beforeAll(async () => {
    members = [await MemberProcess.create('etcd'), await MemberProcess.create('conclave')];
    await Promise.all(members.map((member) => member.start()));
  });

  afterAll(async () => {
    await Promise.all(members.map((member) => member.remove()));
  });

  /** Does the same with both members and expects the same to come out; gives what ours gave. */
  async function same<T>(act: (address: string) => Promise<T>): Promise<T> {
    const [expected, answer] = await Promise.all(members.map((member) => act(member.address)));
    expect(answer).toEqual(expected);
    return answer;
  }

  async function told(address: string, args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await runEtcdctl(address, args, input);
    const complaints = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    return normalised([`exit ${code}`, stdout.toString('utf8'), ...complaints].join('\n'));
  }

  async function sameOutput(...commands: readonly string[]): Promise<string[]> {
    return same(async (address) => {
      const outputs: string[] = [];
      for (const command of commands) outputs.push(`${command}: ${await told(address, command.split(' '))}`);
      return outputs;
    });
  }

  it('puts, gets and deletes, in every form of output', async () => {
    await sameOutput(
      'put kv/a 1',
      'put kv/a 2 --prev-kv',
      'put kv/b 3 -w json',
      'put kv/c 4 -w fields',
      'get kv/a',
      'get kv/a --rev=2',
      'get kv/ --prefix',
      'get kv/ --prefix --limit=2 -w json',
      'get kv/ --prefix -w fields',
      'get kv/ --prefix --keys-only',
      'get kv/ --prefix --print-value-only',
      'get kv/ --prefix --order=DESCEND',
      'get kv/ --prefix --sort-by=VALUE --order=DESCEND',
      'get kv/ --prefix --sort-by=MODIFY',
      'get kv/a kv/c',
      'get kv/b --from-key',
      'get kv/a --consistency=s',
      'get kv/a --hex',
      'get kv/absent -w json',
      'get kv/a --rev=99999',
      'put kv/a --ignore-value --lease=0',
      'put kv/absent --ignore-value',
      'put kv/a 5 --lease=404',
      'del kv/a',
      'del kv/a',
      'del kv/ --prefix --prev-kv -w json',
      'put kv/x 1',
      'put kv/y 2',
      'del kv/ kv/y --prev-kv',
      'del kv/y --from-key',
    );
  });

  it('prints protobuf that says the same', async () => {
    await sameOutput('put pb/a 1', 'put pb/b 2');
    const text = await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['get', 'pb/', '--prefix', '-w', 'protobuf']);
      return textOf(etcdserverpb.RangeResponse.decode(stdout));
    });
    expect(text).toContain('"count":"2"');
  });

  it('does transactions that it reads from its input', async () => {
    await sameOutput('put txn/a 1');
    const holds =
      'value("txn/a") = "1"\nversion("txn/a") > "0"\n\nput txn/b yes\nget txn/a\n\nput txn/b no\n\n';
    const fails = 'mod("txn/a") = "1"\n\nput txn/b yes\n\nput txn/b no\nget txn/b\ndel txn/a --prev-kv\n\n';
    const broken = 'create("txn/a") > "0"\n\nput txn/b 1\nput txn/b 2\n\n\n';
    for (const input of [holds, fails, broken]) await same((address) => told(address, ['txn'], input));
    await same((address) => told(address, ['txn', '-w', 'json'], holds));
    await sameOutput('get txn/ --prefix');
  });

  it('watches from a revision, a prefix, and with previous values', async () => {
    const script = [
      ['put', 'w/a', '1'],
      ['put', 'w/b', '1'],
      ['put', 'w/a', '2'],
      ['del', 'w/a'],
    ];
    const revisions = await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['put', 'w/first', '0', '-w', 'json']);
      for (const command of script) await told(address, command);
      return (JSON.parse(stdout.toString('utf8')) as { header: { revision: number } }).header.revision;
    });
    const from = `--rev=${revisions + 1}`;
    await sameWatch(['watch', 'w/a', from], 8);
    await sameWatch(['watch', 'w/', '--prefix', from], 11);
    await sameWatch(['watch', 'w/', '--prefix', '--prev-kv', from], 15);
    await sameWatch(['watch', 'w/a', 'w/c', from, '-w', 'json'], 1);
    await sameWatch(['watch', 'w/a', from, '-w', 'fields'], 8);
  });

  async function sameWatch(command: readonly string[], lines: number): Promise<void> {
    await same(async (address) => {
      const watch = RunningCommand.etcdctl(address, ...command);
      const told = await watch.lines(lines);
      await watch.stop();
      return told.map(normalised).join('\n');
    });
  }

  it('asks a watch for its progress', async () => {
    const answers = await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['put', 'progress/a', '1', '-w', 'json']);
      const { revision } = (JSON.parse(stdout.toString('utf8')) as { header: { revision: number } }).header;
      const watch = RunningCommand.etcdctl(address, 'watch', '-i');
      watch.write(`watch progress/a --rev=${revision}\n`);
      await watch.lines(3);
      watch.write('progress\n');
      const lines = await watch.lines(4);
      await watch.stop();
      return lines.map(normalised);
    });
    expect(answers.at(-1)).toMatch(/^progress notify: \d+$/);
  });

  it('grants, renews, lists and revokes leases', async () => {
    await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['lease', 'grant', '1000']);
      const lease = /lease ([0-9a-f]+) granted with TTL\(1000s\)/.exec(stdout.toString('utf8'))![1];
      const outputs = [];
      for (const command of [
        `put leased/a 1 --lease=${lease}`,
        `lease keep-alive ${lease} --once`,
        `lease list`,
        `lease timetolive ${lease} --keys`,
        `lease revoke ${lease}`,
        `lease timetolive ${lease}`,
        `lease revoke ${lease}`,
        `lease keep-alive ${lease}`,
        'get leased/a -w json',
        'lease grant 0',
        'lease grant 9000000001',
      ]) {
        outputs.push(await told(address, command.split(' ')));
      }
      return outputs.map((text) => text.replaceAll(lease, 'LEASE').replace(/remaining\(\d+s\)/, 'remaining'));
    });
  });

  it('keeps a lease alive until it is revoked', async () => {
    await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['lease', 'grant', '3']);
      const lease = /lease ([0-9a-f]+) granted/.exec(stdout.toString('utf8'))![1];
      const keeper = RunningCommand.etcdctl(address, 'lease', 'keep-alive', lease);
      await keeper.lines(2);
      await told(address, ['lease', 'revoke', lease]);
      const end = `lease ${lease} expired or revoked.`;
      await keeper.says(end);
      return keeper.output.replaceAll(lease, 'LEASE').split('\n').slice(0, 1);
    });
  });

  it('passes a lock from one holder to the next', async () => {
    await same(async (address) => {
      const first = RunningCommand.etcdctl(address, 'lock', 'mutex');
      const [held] = await first.lines(1);
      const second = RunningCommand.etcdctl(address, 'lock', 'mutex');
      await bothHaveKeys(address, 'mutex/');
      expect(second.output).toBe('');
      await first.stop('SIGINT');
      const [next] = await second.lines(1);
      await second.stop('SIGTERM');
      expect(next).not.toBe(held);
      return [held, next, await told(address, ['get', 'mutex/', '--prefix', '--keys-only'])].map((text) =>
        text.replace(/mutex\/[0-9a-f]+/, 'mutex/LEASE'),
      );
    });
  });

  it('runs a command under the lock, with its exit code', async () => {
    await same((address) => told(address, ['lock', 'guarded', 'sh', '-c', 'echo held; exit 3']));
  });

  it('elects one of two candidates, and the other when it resigns', async () => {
    await same(async (address) => {
      const first = RunningCommand.etcdctl(address, 'elect', 'office', 'one');
      const elected = await first.lines(2);
      const second = RunningCommand.etcdctl(address, 'elect', 'office', 'two');
      await bothHaveKeys(address, 'office/');
      expect(second.output).toBe('');
      await first.stop('SIGINT');
      const next = await second.lines(2);
      await second.stop('SIGTERM');
      return [...elected, ...next].map((text) => text.replace(/office\/[0-9a-f]+/, 'office/LEASE'));
    });
  });

  /** Resolves when two keys were put under the prefix: the second one waits its turn. */
  async function bothHaveKeys(address: string, prefix: string): Promise<void> {
    const watch = RunningCommand.etcdctl(address, 'watch', prefix, '--prefix', '--rev=1');
    await watch.lines(6);
    await watch.stop();
  }

  it('compacts, and says what is wrong', async () => {
    const revision = await same(async (address) => {
      const { stdout } = await runEtcdctl(address, ['put', 'compacted', '1', '-w', 'json']);
      return (JSON.parse(stdout.toString('utf8')) as { header: { revision: number } }).header.revision;
    });
    await sameOutput(
      `compaction ${revision - 1}`,
      `compaction ${revision} --physical`,
      `compaction ${revision}`,
      'compaction 99999',
      `get compacted --rev=${revision - 1}`,
    );
    await same(async (address) => {
      const { stdout, stderr } = await runEtcdctl(address, ['watch', 'compacted', '--rev=2']);
      return `${stdout.toString('utf8')}${stderr}`.replace(/^\{.*\n/gm, '');
    });
  });

  it('lists members and alarms, and finds the member healthy', async () => {
    const [health] = await sameOutput(
      'endpoint health',
      'endpoint health -w json',
      'endpoint health -w table',
      'member list',
      'member list -w json',
      'member list -w table',
      'alarm list',
      'alarm disarm',
    );
    expect(health).toContain('is healthy');
  });

  it('shows the status of the member', async () => {
    const [etcd, ours] = await Promise.all(
      members.map(async ({ address }) => {
        const json = await runEtcdctl(address, ['endpoint', 'status', '-w', 'json']);
        const table = await runEtcdctl(address, ['endpoint', 'status', '-w', 'table']);
        const header = table.stdout.toString('utf8').split('\n')[1].replace(/\s+/g, ' ');
        const [{ Status }] = JSON.parse(json.stdout.toString('utf8')) as [
          { Status: Record<string, unknown> },
        ];
        return { header, Status };
      }),
    );
    expect(ours.header).toBe(etcd.header);
    expect(Object.keys(ours.Status)).toEqual(Object.keys(etcd.Status));
    expect(ours.Status['leader']).toBe((ours.Status['header'] as { member_id: number }).member_id);
    expect(ours.Status['version']).toMatch(/^3\.6\.\d+$/);
  });

  it.runIf(process.env['CONCLAVE_FULL'] === '1')(
    'passes the performance check',
    { timeout: 180_000 },
    async () => {
      const check = RunningCommand.etcdctl(members[1].address, 'check', 'perf', '--load=s');
      await check.ended();
      expect(check.output.split('\r').at(-1)).toMatch(/\nPASS\n$/);
    },
  );
});
