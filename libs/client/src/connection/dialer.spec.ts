import { etcdserverpb as pb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { createClient } from '../client.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { type TransportFactory } from '../transport.js';

/** Members of which these are learners. */
function world(learners: ReadonlySet<string>) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  for (const name of ['a', 'b', 'c']) network.add(name);
  const transport: TransportFactory = (endpoint, options) => {
    const inner = network.factory(endpoint, options);
    return {
      unary: async (path, request, call) => {
        const bytes = await inner.unary(path, request, call);
        if (!path.endsWith('/Status')) return bytes;
        const status = pb.StatusResponse.decode(bytes);
        return pb.StatusResponse.encode({ ...status, isLearner: learners.has(endpoint) }).finish();
      },
      stream: (path, call, observer) => inner.stream(path, call, observer),
      close: () => inner.close(),
    };
  };
  const connect = async (endpoints: readonly string[]): Promise<void> => {
    await createClient({ endpoints, clock, random: () => 0.25, transport }).ready();
  };
  return { network, connect };
}

describe('the choice of a member', () => {
  it('falls on a learner only when there is nothing better', async () => {
    const { network, connect } = world(new Set(['a', 'b']));
    await connect(['a', 'b', 'c']);
    expect(network.connections).toEqual(['c']);
    await connect(['a', 'b']);
    expect(network.connections).toEqual(['c', 'a']);
  });

  it('falls on a member without a leader rather than on a learner', async () => {
    const { network, connect } = world(new Set(['a']));
    Object.assign(network.members.get('b') ?? {}, { hasLeader: false });
    await connect(['a', 'b']);
    expect(network.connections).toEqual(['b']);
  });
});
