import { decodeConfChange } from '../confchange/conf-change.js';
import { type ConfState, type Entry, type HardState, type Message } from '../message.js';
import { type RaftStatus } from '../status.js';
import { type ReadResult, type Work } from '../work.js';

/** `7@2 "foo"`: the entry at index 7 of term 2. */
export function formatEntry(entry: Entry): string {
  if (entry.kind === 'config') return `${entry.index}@${entry.term} ${formatChange(entry.data)}`;
  const data = entry.data.byteLength > 16 ? `${entry.data.byteLength} bytes` : decode(entry.data);
  return `${entry.index}@${entry.term} ${data}`;
}

/** `{+2 ~3 -4}`: voter 2 and learner 3 are added, member 4 is removed; `{leave}` ends a joint configuration. */
function formatChange(data: Uint8Array): string {
  const { changes, transition } = decodeConfChange(data);
  const signs = { 'add-voter': '+', 'add-learner': '~', remove: '-' };
  const parts = changes.map(({ type, member }) => `${signs[type]}${member}`);
  if (transition !== 'auto') parts.push(transition);
  return `{${parts.length > 0 ? parts.join(' ') : 'leave'}}`;
}

/** `(1 2)&(1 3) learners (4) next (3) auto`: a joint configuration; without the second half a simple one. */
export function formatConfState({ voters, learners, outgoing, learnersNext, autoLeave }: ConfState): string {
  let text = `(${voters.join(' ')})`;
  if (outgoing.length > 0) text += `&(${outgoing.join(' ')})`;
  if (learners.length > 0) text += ` learners (${learners.join(' ')})`;
  if (learnersNext.length > 0) text += ` next (${learnersNext.join(' ')})`;
  return autoLeave ? `${text} auto` : text;
}

export function formatEntries(entries: readonly Entry[]): string {
  return `[${entries.map(formatEntry).join(', ')}]`;
}

export function formatHardState(hardState: HardState): string {
  return `term ${hardState.term} vote ${hardState.vote} commit ${hardState.commit}`;
}

export function formatMessage(message: Message): string {
  return `${message.from}->${message.to} ${message.kind} term ${message.term}${formatBody(message)}`;
}

/** Everything that a member has to do, a line each. */
export function formatWork(work: Work): string[] {
  const lines: string[] = [];
  if (work.roleChange !== undefined) {
    const { role, term, leader } = work.roleChange;
    lines.push(`role ${role} term ${term} leader ${leader}`);
  }
  if (work.persist !== undefined) {
    const { id, hardState, entries, messages, mustSync } = work.persist;
    const parts = [`persist #${id}${mustSync ? '' : ' unsynced'}`];
    if (hardState !== undefined) parts.push(`hard state ${formatHardState(hardState)}`);
    if (entries.length > 0) parts.push(`entries ${formatEntries(entries)}`);
    lines.push(parts.join(' '));
    for (const message of messages) lines.push(`  then ${formatMessage(message)}`);
  }
  for (const message of work.messages) lines.push(`send ${formatMessage(message)}`);
  if (work.committed.length > 0) lines.push(`apply ${formatEntries(work.committed)}`);
  for (const read of work.reads) lines.push(formatRead(read));
  for (const { to } of work.snapshots) lines.push(`state wanted for ${to}`);
  if (work.install !== undefined) {
    const { index, term, confState } = work.install;
    lines.push(`install ${index}@${term} ${formatConfState(confState)}`);
  }
  return lines;
}

export function formatStatus(status: RaftStatus): string[] {
  const { id, role, term, vote, leader, commit, applied, firstIndex, lastIndex, persisted } = status;
  const lines = [
    `${id}: ${role} term ${term} vote ${vote} leader ${leader} commit ${commit} applied ${applied} ` +
      `log ${firstIndex}..${lastIndex} persisted ${persisted}`,
  ];
  for (const progress of status.progress) {
    const { member, isLearner, state, match, next, paused, inflightMessages, inflightBytes } = progress;
    const window = inflightMessages > 0 ? ` inflight ${inflightMessages} (${inflightBytes} bytes)` : '';
    const flags =
      (isLearner ? ' learner' : '') + (paused ? ' paused' : '') + (progress.recentActive ? '' : ' inactive');
    lines.push(`  ${member}: ${state} match ${match} next ${next}${window}${flags}`);
  }
  return lines;
}

function formatRead(read: ReadResult): string {
  if (read.kind === 'index') return `read ${read.request} at index ${read.index}`;
  return `read ${read.request} rejected: ${read.reason}`;
}

function formatBody(message: Message): string {
  switch (message.kind) {
    case 'pre-vote':
      return ` log ${message.lastIndex}@${message.lastTerm}`;
    case 'vote':
      return ` log ${message.lastIndex}@${message.lastTerm}${message.transfer ? ' transfer' : ''}`;
    case 'pre-vote-reply':
    case 'vote-reply':
      return message.granted ? ' granted' : ' refused';
    case 'append': {
      const { previousIndex, previousTerm, entries, commit } = message;
      return ` after ${previousIndex}@${previousTerm} ${formatEntries(entries)} commit ${commit}`;
    }
    case 'append-reply':
      return ` index ${message.index}`;
    case 'append-rejection':
      return ` no ${message.previousIndex}, hint ${message.hintIndex}@${message.hintTerm}${message.needsState ? ' needs a state' : ''}`;
    case 'heartbeat':
      return ` commit ${message.commit}${formatRound(message.readSequence)}`;
    case 'heartbeat-reply':
      return formatRound(message.readSequence);
    case 'read-index':
    case 'read-index-refusal':
      return ` request ${message.request}`;
    case 'read-index-reply':
      return ` request ${message.request} index ${message.index}${formatRound(message.sequence)}`;
    case 'stale-term':
    case 'timeout-now':
      return '';
    case 'committed':
      return ` ${message.index}@${message.entryTerm}`;
    case 'snapshot':
      return ` state ${message.index}@${message.snapshotTerm} ${formatConfState(message.confState)}`;
  }
}

function formatRound(sequence: number): string {
  return sequence === 0 ? '' : ` round ${sequence}`;
}

function decode(data: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(data));
}
