import { afterEach, describe, expect, it, vi } from 'vitest';
import { type MemberId } from '../engine/raft/message.js';
import { type GrpcPeerTransportOptions } from './grpc-peer-transport.js';
import { Line } from './testing/line.js';
import { TestMember } from './testing/test-member.js';

const waiting = { timeout: 20_000, interval: 5 };
/** A connection is found dead after 600 ms of silence; for `patient` members none is within the time of a test. */
const vigilant = { keepaliveIntervalMs: 100, keepaliveTimeoutMs: 200, retryLongestMs: 50 };
const patient = { keepaliveIntervalMs: 600_000, keepaliveTimeoutMs: 600_000, retryLongestMs: 50 };
const open: { remove?(): Promise<void>; close?(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.remove?.() ?? one.close?.());
});

async function start(id: MemberId, limits: GrpcPeerTransportOptions['limits']): Promise<TestMember> {
  const member = await TestMember.start(id, { limits });
  open.push(member);
  return member;
}

async function line(member: TestMember): Promise<Line> {
  const made = await Line.to(() => member.port);
  open.push(made);
  return made;
}

function said(member: TestMember, pattern: RegExp): string[] {
  return member.lines.filter(({ message }) => pattern.test(message)).map(({ level }) => level);
}

/** Member 2 calls, by a way of its own or directly; resolves when it is heard. */
async function speak(caller: TestMember, receiver: TestMember, url = receiver.url): Promise<void> {
  caller.transport.setPeers(new Map([[receiver.id, [url]]]));
  receiver.received.length = 0;
  await vi.waitFor(() => {
    const { id: from } = caller;
    caller.transport.send([
      { kind: 'heartbeat', from, to: receiver.id, term: 1, commit: 0, readSequence: 1 },
    ]);
    expect(receiver.received.length).toBeGreaterThan(0);
  }, waiting);
}

describe('two processes with the id of one member', () => {
  it('are told so: the second is refused with what to do, and the first is not touched', async () => {
    const [a, b, copy] = [await start(1n, vigilant), await start(2n, vigilant), await start(2n, vigilant)];
    a.transport.setPeers(new Map([[2n, [b.url]]]));
    await speak(b, a);
    copy.transport.setPeers(new Map([[1n, [a.url]]]));
    await vi.waitFor(() => expect(said(copy, /runs twice/)).toEqual(['error']), waiting);
    const text = copy.lines.find(({ message }) => message.includes('runs twice'))?.message;
    expect(text).toContain(
      `at the peer URLs ${b.url} and, with a copy of its data directory, at ${copy.url}`,
    );
    expect(text).toContain(`Stop the one at ${copy.url} and remove its data directory`);
    await vi.waitFor(
      () => expect(said(a, /refused another member: member 2 runs twice/)).toEqual(['warn']),
      waiting,
    );
    expect(b.sendFailures).toEqual([]);
    expect([copy.removals, copy.metric('etcd_network_active_peers')]).toEqual([0, 0]);
  });

  it('are taken for one that came back when the first is gone without a word', async () => {
    const [a, b, next] = [await start(1n, vigilant), await start(2n, patient), await start(2n, vigilant)];
    a.transport.setPeers(new Map([[2n, [b.url]]]));
    const wire = await line(a);
    await speak(b, a, wire.url);
    wire.silence();
    await speak(next, a);
    expect(said(next, /runs twice/)).toEqual([]);
    expect(said(a, /runs twice/)).toEqual([]);
  });

  it('are not suspected after a restart at the same URLs, though the connections of the dead process still stand', async () => {
    const [a, b] = [await start(1n, patient), await start(2n, patient)];
    const next = await TestMember.start(2n, { limits: patient, peerUrls: [b.url] });
    open.push(next);
    const wire = await line(a);
    await speak(b, a, wire.url);
    wire.silence();
    await speak(next, a);
    expect(a.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('are judged by the configuration: who is at its URLs takes the place of the other at once', async () => {
    const [a, b, moved] = [await start(1n, patient), await start(2n, patient), await start(2n, patient)];
    a.transport.setPeers(new Map([[2n, [b.url]]]));
    await speak(b, a);
    a.transport.setPeers(new Map([[2n, [moved.url]]]));
    await speak(moved, a);
    await vi.waitFor(() => expect(b.sendFailures).toContain(1n), waiting);
    expect(moved.sendFailures).toEqual([]);
  });
});
