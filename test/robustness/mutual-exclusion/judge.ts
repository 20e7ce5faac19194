import { type LedgerRow } from './ledger.js';
import { type WorkerRecord } from './worker-log.js';

/** One life of a worker: its records, and when it was killed, if it was. */
export interface WorkerLife {
  readonly name: string;
  readonly records: readonly WorkerRecord[];
  readonly killedAt?: number;
}

/** A fault, with its end; both on the monotonic clock of the machine. */
export interface FaultSpan {
  readonly name: string;
  readonly from: number;
  readonly until: number;
}

export interface Trial {
  readonly lives: readonly WorkerLife[];
  readonly faults: readonly FaultSpan[];
  /** All who passed the gate, in order. */
  readonly rows: readonly LedgerRow[];
  readonly counter: number;
  /** How long after a holder has ended, or after the last fault since, the next one must hold. */
  readonly handOverBoundMs: number;
}

/** From the grant to the moment after which the holder believes in nothing any more. */
interface Belief {
  readonly token: bigint;
  readonly worker: string;
  readonly from: number;
  readonly until: number;
}

export interface Verdict {
  readonly violations: readonly string[];
  readonly handOvers: number;
  readonly accepted: number;
  readonly refused: number;
  readonly lost: number;
  /** The longest time from the end of a belief, or of the last fault after it, to the next grant. */
  readonly worstHandOverMs: number;
}

export function judge(trial: Trial): Verdict {
  const beliefs = trial.lives.flatMap(beliefsOf).sort((a, b) => (a.token < b.token ? -1 : 1));
  const handOvers = handOverTimes(beliefs, trial.faults);
  const slow = handOvers.filter(({ ms }) => ms > trial.handOverBoundMs);
  const records = trial.lives.flatMap((life) => life.records);
  const count = (kind: WorkerRecord['kind']): number =>
    records.filter((record) => record.kind === kind).length;
  return {
    violations: [
      ...repeatedTokens(beliefs),
      ...overlaps(beliefs),
      ...staleAcceptances(trial.rows),
      ...lostUpdates(trial, records),
      ...slow.map(
        ({ token, ms }) => `token ${token} was granted ${Math.round(ms)} ms after it could have been`,
      ),
    ],
    handOvers: handOvers.length,
    accepted: count('accepted'),
    refused: count('refused'),
    lost: count('lost'),
    worstHandOverMs: Math.max(0, ...handOvers.map(({ ms }) => ms)),
  };
}

/** By its clock a holder believes no longer than the last deadline; told of a loss, releasing or dead no longer than that. */
function beliefsOf(life: WorkerLife): Belief[] {
  const grants = life.records.filter(({ kind }) => kind === 'granted');
  return grants.map(({ token, at }) => {
    const own = life.records.filter((record) => record.token === token);
    const deadlines = own.map(({ deadline }) => deadline ?? 0);
    const ends = own.filter(({ kind }) => kind === 'lost' || kind === 'releasing').map((record) => record.at);
    const until = Math.min(Math.max(at, ...deadlines), life.killedAt ?? Infinity, ...ends);
    return { token: BigInt(token), worker: life.name, from: at, until };
  });
}

function repeatedTokens(beliefs: readonly Belief[]): string[] {
  return beliefs
    .filter(({ token }, at) => beliefs[at - 1]?.token === token)
    .map(({ token }) => `token ${token} was given twice`);
}

function overlaps(beliefs: readonly Belief[]): string[] {
  const found: string[] = [];
  let latest: Belief | undefined;
  for (const belief of beliefs) {
    if (latest !== undefined && belief.from < latest.until) {
      const overlapMs = Math.round(latest.until - belief.from);
      found.push(
        `${belief.worker} (token ${belief.token}) held ${overlapMs} ms before ${latest.worker} (token ${latest.token}) had stopped believing`,
      );
    }
    if (latest === undefined || belief.until > latest.until) latest = belief;
  }
  return found;
}

/** Nobody passes the gate after somebody with a higher token. */
function staleAcceptances(rows: readonly LedgerRow[]): string[] {
  const found: string[] = [];
  let highest = 0n;
  for (const { seq, kind, token } of rows) {
    if (token < highest) found.push(`row ${seq}: a ${kind} of token ${token} was accepted after ${highest}`);
    else highest = token;
  }
  return found;
}

/** The accepted writes are 1, 2, 3 and so on; each that a worker was told of is there, and the counter is their number. */
function lostUpdates({ rows, counter }: Trial, records: readonly WorkerRecord[]): string[] {
  const found: string[] = [];
  const writes = rows.filter(({ kind }) => kind === 'write');
  writes.forEach(({ seq, value }, at) => {
    const before = writes[at - 1]?.value ?? 0;
    if (value !== before + 1) found.push(`row ${seq} wrote ${value} after ${before}`);
  });
  if (counter !== writes.length) found.push(`the counter is ${counter} after ${writes.length} writes`);
  const written = new Set(writes.map(({ token, value }) => `${token} ${value}`));
  for (const { kind, token, value } of records) {
    if (kind !== 'accepted' || written.has(`${token} ${value}`)) continue;
    found.push(`the write of ${value} by token ${token} was acknowledged and is not there`);
  }
  return found;
}

/** From when the next one could have had the lock: nobody believes, and nothing is broken. */
function handOverTimes(
  beliefs: readonly Belief[],
  faults: readonly FaultSpan[],
): { readonly token: bigint; readonly ms: number }[] {
  return beliefs.slice(1).map(({ token, from }, at) => {
    const ended = beliefs[at]?.until ?? 0;
    const troubles = faults.filter((fault) => fault.from < from).map((fault) => Math.min(fault.until, from));
    return { token, ms: Math.max(0, from - Math.max(ended, ...troubles)) };
  });
}
