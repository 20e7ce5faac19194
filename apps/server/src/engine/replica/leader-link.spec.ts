import { beforeEach, describe, expect, it } from 'vitest';
import { CommandKind, encodeCommand, Proposer } from '../apply/command.js';
import type { ProposeResult } from '../raft/raw-node.js';
import { LeaderLink } from './leader-link.js';
import type { ForwardedProposal, ProposalRefusal } from './peer-message.js';

const leader = 1n;
const follower = 2n;
const boot = 77n;

function forwarded(sequence: number, term: number, kind = CommandKind.Put): ForwardedProposal {
  const command = encodeCommand(kind, new Proposer(follower, boot), sequence, Buffer.from('x'));
  return { kind: 'propose', from: follower, to: leader, term, command };
}

describe('LeaderLink of a leader', () => {
  let link: LeaderLink;
  let proposed: number;
  let outcome: ProposeResult;
  let isBehind: boolean;

  beforeEach(() => {
    proposed = 0;
    isBehind = false;
    outcome = { index: 10, term: 5 };
    link = new LeaderLink(
      {
        proposer: new Proposer(leader, 1n),
        recoveredTerm: 3,
        now: () => 0,
        propose: () => {
          proposed++;
          return outcome;
        },
        resubmit: () => undefined,
        nextSequence: () => 1,
        wake: () => undefined,
        isBehind: () => isBehind,
      },
      { requestTimeoutMs: 7_000, leaderlessMs: 2_000 },
    );
    link.roleChanged({ role: 'leader', term: 5, leader });
  });

  function refusals(): ProposalRefusal['reason'][] {
    return link
      .takeOutgoing()
      .flatMap((message) => (message.kind === 'propose-refused' ? [message.reason] : []));
  }

  it('takes a command once', () => {
    for (let times = 0; times < 3; times++) link.receive(forwarded(1, 5));
    link.receive(forwarded(2, 5));
    expect(proposed).toBe(2);
    expect(refusals()).toEqual([]);
  });

  it('never takes what it refused, since its proposer may have been told so', () => {
    isBehind = true;
    link.receive(forwarded(1, 5));
    isBehind = false;
    link.receive(forwarded(1, 5));
    expect(proposed).toBe(0);
    expect(refusals()).toEqual(['too-many-uncommitted']);
  });

  it('takes alarms while its store cannot keep up, since the reason may be the lack that they tell of', () => {
    isBehind = true;
    link.receive(forwarded(1, 5, CommandKind.Alarm));
    expect(proposed).toBe(1);
    expect(refusals()).toEqual([]);
  });

  it('passes on why the core dropped it', () => {
    outcome = { dropped: 'transferring', leader };
    link.receive(forwarded(1, 5));
    outcome = { dropped: 'not-leader', leader };
    link.receive(forwarded(2, 5));
    expect(refusals()).toEqual(['transferring', 'not-leader']);
  });

  it('says nothing about other terms, in which it may have taken it', () => {
    link.receive(forwarded(1, 4));
    link.receive(forwarded(1, 6));
    expect(proposed).toBe(0);
    expect(refusals()).toEqual([]);
  });

  it('does not refuse in its own term what it took before it ceased to lead', () => {
    link.receive(forwarded(1, 5));
    link.roleChanged({ role: 'follower', term: 5, leader: 0n });
    link.receive(forwarded(1, 5));
    link.receive(forwarded(2, 5));
    expect(proposed).toBe(1);
    expect(refusals()).toEqual(['not-leader']);
  });

  it('says nothing in the term in which it was started: it does not know what it took before', () => {
    link.roleChanged({ role: 'follower', term: 3, leader: 0n });
    link.receive(forwarded(1, 3));
    expect(refusals()).toEqual([]);
  });
});
