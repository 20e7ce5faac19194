import { expect, it } from 'vitest';
import { CommandKind, Proposer } from '../apply/command.js';
import { ManualClock } from '../platform/manual-clock.js';
import type { RawNode } from '../raft/raw-node.js';
import { Submissions } from './submissions.js';

it('refuses all but alarms while the store cannot keep up', () => {
  const proposed: CommandKind[] = [];
  const raft = {
    status: () => ({ term: 1 }),
    propose: (command: Uint8Array) => {
      proposed.push(command[1]);
      return { index: proposed.length, term: 1 };
    },
  } as unknown as RawNode;
  const submissions = new Submissions(
    { raft, proposer: new Proposer(1n, 2n), clock: new ManualClock(), wake: () => undefined },
    { requestTimeoutMs: 7_000, leaderlessMs: 2_000, proposalBytesMax: 1_000 },
  );
  const refusals: (string | undefined)[] = [];
  const payload = Buffer.from('x');
  submissions.isBehind = true;
  for (const kind of [CommandKind.Put, CommandKind.Alarm, CommandKind.DeleteRange])
    submissions.propose(kind, payload, (error) => refusals.push(error?.reason));
  expect(proposed).toEqual([CommandKind.Alarm]);
  expect(refusals).toEqual(['RequestTooManyRequests', 'RequestTooManyRequests']);
  expect(submissions.failed).toBe(2);
});
