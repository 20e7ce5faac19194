import { connect } from 'node:net';
import { nodeRuntime, type Runtime } from '@conclave/grpc';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type MemberId } from '../engine/raft/message.js';
import { type PeerMessage } from '../engine/replica/peer-message.js';
import { type GrpcPeerTransportOptions } from './grpc-peer-transport.js';
import { Line } from './testing/line.js';
import { TestMember } from './testing/test-member.js';

const waiting = { timeout: 20_000, interval: 5 };
const open: { remove?(): Promise<void>; close?(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.remove?.() ?? one.close?.());
});

async function start(id: MemberId, overrides: Partial<GrpcPeerTransportOptions> = {}): Promise<TestMember> {
  const member = await TestMember.start(id, overrides);
  open.push(member);
  return member;
}

async function line(member: TestMember): Promise<Line> {
  const made = await Line.to(() => member.port);
  open.push(made);
  return made;
}

const peersOf = (...members: TestMember[]): ReadonlyMap<MemberId, readonly string[]> =>
  new Map(members.map(({ id, url }) => [id, [url]]));

/** Two members that know each other. */
async function pair(limits: GrpcPeerTransportOptions['limits'] = {}): Promise<[TestMember, TestMember]> {
  const [a, b] = [await start(1n, { limits }), await start(2n, { limits })];
  a.transport.setPeers(peersOf(b));
  b.transport.setPeers(peersOf(a));
  return [a, b];
}

let sequence = 0;

function heartbeat(from: MemberId, to: MemberId): PeerMessage {
  return { kind: 'heartbeat', from, to, term: 1, commit: 0, readSequence: ++sequence };
}

function append(from: MemberId, to: MemberId, bytes: number, fill = 7): PeerMessage {
  const data = new Uint8Array(bytes).fill(fill);
  const entries = [{ index: 1, term: 1, kind: 'normal' as const, data }];
  return { kind: 'append', from, to, term: 1, previousIndex: 0, previousTerm: 0, entries, commit: 0 };
}

const kinds = (member: TestMember): string[] => member.received.map(({ kind }) => kind);
const linesOf = (member: TestMember, pattern: RegExp): string[] =>
  member.lines.filter(({ message }) => pattern.test(message)).map(({ message }) => message);

/** Sends until something arrives: messages are dropped while there is no connection. */
async function arrives(from: TestMember, to: TestMember): Promise<void> {
  await vi.waitFor(() => {
    from.transport.send([heartbeat(from.id, to.id)]);
    expect(to.received.length).toBeGreaterThan(0);
  }, waiting);
}

describe('messages between members', () => {
  it('bring over every kind as it was sent, and say from whom', async () => {
    const [a, b] = await pair();
    const sent: PeerMessage[] = [
      { kind: 'vote', from: 1n, to: 2n, term: 3, lastIndex: 9, lastTerm: 2, transfer: true },
      heartbeat(1n, 2n),
      { kind: 'propose', from: 1n, to: 2n, term: 3, command: Buffer.from('command') },
    ];
    a.transport.send(sent);
    await vi.waitFor(() => expect(b.received).toHaveLength(3), waiting);
    expect(b.received.find(({ kind }) => kind === 'vote')).toEqual(sent[0]);
    const proposal = b.received.find((message) => message.kind === 'propose');
    expect(Buffer.from(proposal?.command ?? []).toString()).toBe('command');
    expect(a.metric('etcd_network_peer_sent_bytes_total')).toBe(
      b.metric('etcd_network_peer_received_bytes_total'),
    );
    expect(a.metric('etcd_network_active_peers')).toBe(2);
    await vi.waitFor(() => {
      const family = a.registry.families.get('etcd_network_peer_round_trip_time_seconds');
      if (family?.kind !== 'histogram') throw new Error('round trips are a histogram');
      expect([...family.series.values()].some(({ histogram }) => histogram.count > 0)).toBe(true);
    }, waiting);
  });

  it('do not wait behind large ones: a heartbeat overtakes appends of 3 MB', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    a.transport.setPeers(peersOf(b));
    await arrives(a, b);
    b.received.length = 0;
    // Enough to fill every buffer on the way, so that most of it waits in the queue of its own lane.
    for (let i = 0; i < 16; i++) a.transport.send([append(1n, 2n, 3_000_000)]);
    a.transport.send([heartbeat(1n, 2n)]);
    await vi.waitFor(() => expect(kinds(b)).toContain('heartbeat'), waiting);
    expect(kinds(b).filter((kind) => kind === 'append').length).toBeLessThan(16);
    await vi.waitFor(() => expect(kinds(b).filter((kind) => kind === 'append')).toHaveLength(16), waiting);
    expect(a.sendFailures).toEqual([]);
  });

  it('are dropped when too many bytes wait, heartbeats are not among them, and the replica hears of it', async () => {
    const [a, b] = [
      await start(1n, { limits: { queueBytes: { urgent: 1_000, bulk: 1_000_000 } } }),
      await start(2n),
    ];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await arrives(a, b);
    wire.silence();
    b.received.length = 0;
    for (let i = 0; i < 40; i++) a.transport.send([append(1n, 2n, 900_000)]);
    a.transport.send([heartbeat(1n, 2n)]);
    await vi.waitFor(() => expect(a.sendFailures).toContain(2n), waiting);
    expect(a.metric('etcd_network_peer_sent_failures_total')).toBeGreaterThan(0);
    expect(a.metric('etcd_server_heartbeat_send_failures_total')).toBe(0);
  });

  it('never block and never throw, whoever they are for', async () => {
    const a = await start(1n);
    a.transport.setPeers(
      new Map([
        [2n, ['http://127.0.0.1:1']],
        [3n, ['no url']],
      ]),
    );
    a.transport.send([heartbeat(1n, 2n), heartbeat(1n, 3n), heartbeat(1n, 99n), append(1n, 2n, 10)]);
    const confState = { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
    a.transport.send([{ kind: 'snapshot', from: 1n, to: 2n, term: 1, index: 1, snapshotTerm: 1, confState }]);
    await a.transport.close();
    a.transport.send([heartbeat(1n, 2n)]);
    expect(a.defects).toEqual([]);
  });
});

describe('connections between members', () => {
  it('come back by themselves after a break, and the replica hears of what may be lost', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await arrives(a, b);
    wire.cut();
    await vi.waitFor(() => expect(a.sendFailures).toContain(2n), waiting);
    b.received.length = 0;
    await arrives(a, b);
    expect(a.unreachable).toEqual([]);
  });

  it('tell that a member is gone only when it closed them and nobody listens any more', async () => {
    const [a, b] = await pair();
    await arrives(a, b);
    await b.stop();
    await vi.waitFor(() => expect(a.unreachable).toEqual([2n]), waiting);
    expect(a.sendFailures).toContain(2n);
    expect(linesOf(a, /is gone/)).toHaveLength(1);
  });

  it('do not take silence for the end of a member, but notice it and connect anew', async () => {
    const limits = { keepaliveIntervalMs: 30, keepaliveTimeoutMs: 30, connectTimeoutMs: 50 };
    const [a, b] = [await start(1n, { limits }), await start(2n)];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await arrives(a, b);
    wire.silence();
    await vi.waitFor(() => expect(a.sendFailures).toContain(2n), waiting);
    expect(a.unreachable).toEqual([]);
    wire.restore();
    wire.cut();
    b.received.length = 0;
    await arrives(a, b);
  });

  it('do not wait out the pause of a long absence when the member calls', async () => {
    let pauses = 0;
    const after: Runtime['after'] = (ms, callback) => {
      if (ms <= 100) return nodeRuntime.after(ms, callback);
      // A pause this long does not end within this test; what is longer bounds attempts.
      if (ms < 1_000) pauses++;
      return { cancel: () => undefined };
    };
    const runtime = { ...nodeRuntime, after };
    const limits = { retryFirstMs: 1, retryLongestMs: 500 };
    const [a, b] = [await start(1n, { limits, runtime }), await start(2n)];
    const { port } = b;
    await b.stop();
    a.transport.setPeers(new Map([[2n, [`http://127.0.0.1:${port}`]]]));
    await vi.waitFor(() => expect(pauses).toBe(2), waiting);
    await b.listen(port);
    await b.open();
    b.transport.setPeers(peersOf(a));
    await arrives(a, b);
  });

  it('do not call a member gone to which there was no connection', async () => {
    const a = await start(1n, { limits: { retryFirstMs: 1, retryLongestMs: 2 } });
    let attempts = 0;
    a.transport.setPeers(new Map([[2n, ['http://127.0.0.1:1']]]));
    await vi.waitFor(() => {
      a.transport.send([heartbeat(1n, 2n)]);
      attempts = a.metric('etcd_network_peer_sent_failures_total');
      expect(attempts).toBeGreaterThan(5);
    }, waiting);
    expect(a.unreachable).toEqual([]);
  });

  it('try the URLs of a member in turn', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    a.transport.setPeers(new Map([[2n, ['http://127.0.0.1:1', b.url]]]));
    await arrives(a, b);
    await b.stop();
    await vi.waitFor(() => expect(a.unreachable).toEqual([2n]), waiting);
  });

  it('follow a member to its new URL, and are kept when the URL stays', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    const [old, fresh] = [await line(b), await line(b)];
    a.transport.setPeers(new Map([[2n, [old.url]]]));
    await arrives(a, b);
    a.transport.setPeers(new Map([[2n, [fresh.url, old.url]]]));
    expect(a.sendFailures).toEqual([]);
    a.transport.setPeers(new Map([[2n, [fresh.url]]]));
    await vi.waitFor(() => expect(fresh.connections).toBe(2), waiting);
    await vi.waitFor(() => expect(old.connections).toBe(0), waiting);
    b.received.length = 0;
    await arrives(a, b);
  });

  it('are closed when the member is none any more', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await arrives(a, b);
    a.transport.setPeers(new Map());
    await vi.waitFor(() => expect(wire.connections).toBe(0), waiting);
    expect(a.metric('etcd_network_active_peers')).toBe(0);
  });
});

describe('refusals between members', () => {
  it('a member of another cluster is refused, with one line at each end however often it tries', async () => {
    const limits = { retryFirstMs: 1, retryLongestMs: 1 };
    const [a, b] = [await start(1n, { clusterId: 0xbadn, limits }), await start(2n)];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await vi.waitFor(() => expect(wire.forwarded).toBeGreaterThan(5_000), waiting);
    expect(b.received).toEqual([]);
    expect(linesOf(b, /belongs to cluster c1, the caller to bad/)).toHaveLength(1);
    expect(linesOf(a, /does not speak with this one.*belongs to cluster c1/)).toHaveLength(1);
  });

  it('what is meant for another member is refused', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    a.transport.setPeers(new Map([[3n, [b.url]]]));
    await vi.waitFor(() => expect(linesOf(a, /does not speak with this one/)).toHaveLength(1), waiting);
    expect(linesOf(b, /this is member 2, the caller looks for 3/)).toHaveLength(1);
    expect(b.received).toEqual([]);
  });

  it('a removed member is cut off and learns why, at once and when it comes back', async () => {
    const [a, b] = await pair();
    await arrives(b, a);
    a.transport.setPeers(new Map());
    await vi.waitFor(() => expect(b.removals).toBe(1), waiting);
    a.received.length = 0;
    await b.stop();
    await b.listen(0);
    await b.open();
    b.transport.setPeers(peersOf(a));
    await vi.waitFor(() => expect(b.removals).toBe(2), waiting);
    expect(a.received).toEqual([]);
  });

  it('a member that the replicated state knows as removed is refused after a restart, too', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    a.transport.isRemoved = (id) => id === 2n;
    b.transport.setPeers(peersOf(a));
    await vi.waitFor(() => expect(b.removals).toBe(1), waiting);
  });

  it('a member that this one does not know yet is heard and answered where it says it is', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    b.transport.setPeers(peersOf(a));
    await arrives(b, a);
    a.received.length = 0;
    await arrives(a, b);
    a.transport.setPeers(peersOf(b));
    b.received.length = 0;
    await arrives(a, b);
    expect(linesOf(a, /does not know yet/)).toHaveLength(1);
  });

  it('a member that is still starting takes nothing, and is asked again', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    const { onMessage } = b.transport;
    b.transport.onMessage = undefined;
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await vi.waitFor(() => expect(wire.forwarded).toBeGreaterThan(500), waiting);
    expect(a.metric('etcd_network_active_peers')).toBe(0);
    b.transport.onMessage = onMessage;
    await arrives(a, b);
    expect(linesOf(a, /does not speak/)).toEqual([]);
  });

  it('bytes that are no messages end the stream, and nothing else', async () => {
    const [a, b] = [await start(1n), await start(2n)];
    const wire = await line(b);
    a.transport.setPeers(new Map([[2n, [wire.url]]]));
    await arrives(a, b);
    const marker = Buffer.from('0123456789abcdef');
    // The kind of the message that carries the marker becomes one that there is not.
    wire.onForward = (chunk) => {
      const at = chunk.indexOf(marker);
      if (at >= 3) chunk[at - 3] = 99;
    };
    a.transport.send([{ kind: 'propose', from: 1n, to: 2n, term: 1, command: marker }]);
    await vi.waitFor(() => expect(linesOf(b, /there is no message of kind 99/)).toHaveLength(1), waiting);
    expect(b.metric('etcd_network_peer_received_failures_total')).toBe(1);
    await vi.waitFor(() => expect(a.sendFailures).toContain(2n), waiting);
    wire.onForward = undefined;
    b.received.length = 0;
    await arrives(a, b);
    expect(b.defects).toEqual([]);
  });

  it('connections that are not of a member are closed, and nothing happens to others', async () => {
    const [a, b] = await pair();
    const socket = connect(b.port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined).resume();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Buffer.alloc(100, 0xff));
    await closed;
    await arrives(a, b);
  });
});
