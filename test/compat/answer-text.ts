import { type Outcome } from './rpc-client.js';

/** An answer as text; ids of members and clusters, and terms, are left out. */
export function describeOutcome(outcome: Outcome<object>): string {
  if (!('ok' in outcome)) return `error ${outcome.code}: ${outcome.message}`;
  return textOf(outcome.ok);
}

/** A message or a step as text that compares. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (key === 'cluster_id' || key === 'member_id' || key === 'raft_term') return undefined;
    if (typeof part === 'bigint') return part.toString();
    if (isBufferJson(part)) return Buffer.from(part.data).toString('latin1');
    return part;
  });
}

function isBufferJson(part: unknown): part is { readonly type: 'Buffer'; readonly data: number[] } {
  return (
    typeof part === 'object' &&
    part !== null &&
    (part as { type?: unknown }).type === 'Buffer' &&
    'data' in part
  );
}
