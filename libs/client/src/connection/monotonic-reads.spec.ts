import { etcdserverpb as pb, protocolErrors } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type ClientOptions, createClient } from '../client.js';
import { compare, op } from '../kv/operations.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { TransportError } from '../transport.js';

const current = 20n;

/** Two members: one has everything, the other has stopped at revision 12 and reaches the leader only when it may. */
function world(options: Partial<ClientOptions> = {}, reachesLeader = true) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  const asked: string[] = [];
  const member = (name: string, own: bigint) =>
    network.add(name, {
      revision: own,
      answer: (path, bytes) => {
        const isLocal = path.endsWith('/Txn')
          ? pb.TxnRequest.decode(bytes).success.every(
              ({ request }) => request?.$case === 'request_range' && request.value.serializable,
            )
          : pb.RangeRequest.decode(bytes).serializable;
        asked.push(`${name} ${isLocal ? 'alone' : 'with the leader'}`);
        if (!isLocal && !reachesLeader && name === 'behind') {
          const { code, message } = protocolErrors.NoLeader;
          return Promise.reject(new TransportError(code, message, true));
        }
        const revision = isLocal ? own : current;
        const header = { cluster_id: 1n, member_id: 1n, revision, raft_term: 3n };
        // Header and count have the same field numbers in both answers, and nothing else is set.
        return Promise.resolve(pb.RangeResponse.encode(pb.RangeResponse.create({ header })).finish());
      },
    });
  member('ahead', current);
  member('behind', 12n);
  const client = createClient({
    endpoints: ['ahead', 'behind'],
    clock,
    random: () => 0.25,
    transport: network.factory,
    ...options,
  });
  /** Reads at the member that has everything, which then goes down. */
  const seeAllAndMove = async (): Promise<void> => {
    expect((await client.kv.range('k')).revision).toBe(current);
    network.crash('ahead');
    await clock.advance(500);
    expect(network.connections).toEqual(['behind']);
    asked.length = 0;
  };
  return { clock, network, client, asked, seeAllAndMove };
}

describe('monotonic reads', () => {
  it('P26 a serializable read at a member that lags is asked again through the leader', async () => {
    const { client, asked, seeAllAndMove } = world();
    await seeAllAndMove();
    expect((await client.kv.range('k', { serializable: true })).revision).toBe(current);
    const { revision } = await client.kv
      .txn()
      .if(compare.exists('k'))
      .do(op.get('k', { serializable: true }))
      .commit();
    expect(revision).toBe(current);
    expect(asked).toEqual([
      'behind alone',
      'behind with the leader',
      'behind alone',
      'behind with the leader',
    ]);
  });

  it('P26 fail rather than go back when the leader cannot be reached from there', async () => {
    const { clock, client, seeAllAndMove } = world({ requestTimeout: '2s' }, false);
    await seeAllAndMove();
    const read = outcomeOf(client.kv.range('k', { serializable: true }));
    await clock.advance(3_000);
    expect(read.error).toMatchObject({ retryable: true });
    expect(read.value).toBeUndefined();
  });

  it('off: a member that lags answers serializable reads from its own state, and linearizable ones stay right', async () => {
    const { client, asked, seeAllAndMove } = world({ monotonicReads: false });
    await seeAllAndMove();
    expect((await client.kv.range('k', { serializable: true })).revision).toBe(12n);
    expect((await client.kv.range('k')).revision).toBe(current);
    expect(asked).toEqual(['behind alone', 'behind with the leader']);
  });

  it('a client that has seen nothing yet takes what the member has', async () => {
    const { client, asked } = world({ endpoints: ['behind'] });
    expect((await client.kv.range('k', { serializable: true })).revision).toBe(12n);
    expect(asked).toEqual(['behind alone']);
  });
});
