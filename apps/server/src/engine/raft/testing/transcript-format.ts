import { type Entry, type HardState, type Message } from '../message.js';
import { type RaftStatus } from '../status.js';
import { type ReadResult, type Work } from '../work.js';

/** `7@2 "foo"`: the entry at index 7 of term 2. */
export function formatEntry(entry: Entry): string {
  const data = entry.data.byteLength > 16 ? `${entry.data.byteLength} bytes` : decode(entry.data);
  return `${entry.index}@${entry.term} ${data}`;
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
  return lines;
}

export function formatStatus(status: RaftStatus): string[] {
  const { id, role, term, vote, leader, commit, applied, firstIndex, lastIndex, persisted } = status;
  const lines = [
    `${id}: ${role} term ${term} vote ${vote} leader ${leader} commit ${commit} applied ${applied} ` +
      `log ${firstIndex}..${lastIndex} persisted ${persisted}`,
  ];
  for (const progress of status.progress) {
    const { member, state, match, next, paused, inflightMessages, inflightBytes } = progress;
    const window = inflightMessages > 0 ? ` inflight ${inflightMessages} (${inflightBytes} bytes)` : '';
    const flags = (paused ? ' paused' : '') + (progress.recentActive ? '' : ' inactive');
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
    case 'vote':
      return ` log ${message.lastIndex}@${message.lastTerm}`;
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
      return ` no ${message.previousIndex}, hint ${message.hintIndex}@${message.hintTerm}`;
    case 'heartbeat':
      return ` commit ${message.commit}${formatRound(message.readSequence)}`;
    case 'heartbeat-reply':
      return formatRound(message.readSequence);
    case 'read-index':
    case 'read-index-refusal':
      return ` request ${message.request}`;
    case 'read-index-reply':
      return ` request ${message.request} index ${message.index} round ${message.sequence}`;
    case 'stale-term':
      return '';
  }
}

function formatRound(sequence: number): string {
  return sequence === 0 ? '' : ` round ${sequence}`;
}

function decode(data: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(data));
}
