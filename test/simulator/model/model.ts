import { etcdserverpb } from '@conclave/protocol';
import { holds } from './comparing.js';
import { History, keyRange } from './history.js';
import { readRange, refusal, type Horizon } from './reading.js';
import { deleteText, putText, txnText, versionText } from './texts.js';

/** What one command answers: an error by its name in etcd's table, or the response as a text. */
export interface Answer {
  readonly error: string | undefined;
  /** Of the response header. */
  readonly revision: number;
  readonly text: string;
}

/** A command of the log, decoded. */
export type Command =
  | { readonly kind: 'put'; readonly request: etcdserverpb.PutRequest }
  | { readonly kind: 'delete'; readonly request: etcdserverpb.DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: etcdserverpb.TxnRequest }
  | { readonly kind: 'compact'; readonly revision: bigint }
  | { readonly kind: 'grant'; readonly id: bigint; readonly ttl: bigint; readonly index: number }
  | { readonly kind: 'revoke'; readonly id: bigint }
  /** `decidedAt`: the last entry that whoever decided knew of. */
  | {
      readonly kind: 'expire';
      readonly id: bigint;
      readonly isOfThisTerm: boolean;
      readonly decidedAt: number;
    }
  | { readonly kind: 'alarm'; readonly request: etcdserverpb.AlarmRequest }
  | { readonly kind: 'other' };

class Refused extends Error {}

/**
 * The store as etcd's documents describe it, as simple as can be: slow, without files, without compaction of anything. Given the log
 * it says what every command must have answered, and what every reader and watcher must see.
 */
export class Model {
  readonly history = new History();
  revision = 1;
  /** Reads below are refused; -1 before the first compaction. */
  compacted = -1;
  /** Live leases and their granted TTLs in seconds. */
  readonly leases = new Map<bigint, bigint>();
  /** The entries that granted them. */
  private readonly grants = new Map<bigint, number>();
  readonly alarms = new Map<string, etcdserverpb.AlarmMember>();
  private hasChanged = false;

  get horizon(): Horizon {
    return { compacted: this.compacted, current: this.revision };
  }

  get isOutOfSpace(): boolean {
    return [...this.alarms.values()].some(({ alarm }) => alarm === etcdserverpb.AlarmType.NOSPACE);
  }

  apply(command: Command): Answer {
    this.hasChanged = false;
    try {
      if (this.isOutOfSpace && grows(command)) throw new Refused('NoSpace');
      const text = this.run(command);
      if (this.hasChanged) this.revision++;
      this.hasChanged = false;
      return { error: undefined, revision: this.revision, text };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { error: error.message, revision: this.revision, text: '' };
    }
  }

  /** The keys that a lease holds at a revision, sorted. */
  keysOf(lease: bigint, revision: number): string[] {
    const rows = this.history.rows({ from: '', to: undefined }, revision);
    return rows.filter((row) => row.lease === lease).map((row) => row.key);
  }

  /** A transaction that only reads, or why it is refused, for a reader at `now` with that horizon. */
  readTxn(request: etcdserverpb.TxnRequest, horizon: Horizon): Answer {
    try {
      this.check(request, horizon);
      const text = this.runTxn(request, horizon.current);
      return { error: undefined, revision: horizon.current, text };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { error: error.message, revision: horizon.current, text: '' };
    }
  }

  private run(command: Command): string {
    switch (command.kind) {
      case 'put':
        this.checkLease(command.request);
        this.checkKey(command.request, this.revision);
        return this.put(command.request);
      case 'delete':
        return this.delete(command.request);
      case 'txn':
        this.check(command.request, this.horizon);
        return this.runTxn(command.request, this.revision);
      case 'compact':
        return this.compact(command.revision);
      case 'grant':
        return this.grant(command.id, command.ttl, command.index);
      case 'revoke':
        if (!this.leases.has(command.id)) throw new Refused('LeaseNotFound');
        return this.revoke(command.id);
      case 'expire':
        return this.counts(command) ? this.revoke(command.id) : '';
      case 'alarm':
        return this.alarm(command.request);
      case 'other':
        return '';
    }
  }

  /** The revision that the command at hand makes, or so far has not. */
  private get now(): number {
    return this.hasChanged ? this.revision + 1 : this.revision;
  }

  private put(request: etcdserverpb.PutRequest): string {
    const key = request.key.toString('latin1');
    const before = this.history.at(key, this.now);
    this.hasChanged = true;
    this.history.add({
      key,
      value: request.ignore_value ? (before?.value ?? '') : request.value.toString('latin1'),
      create: before?.create ?? this.now,
      mod: this.now,
      version: (before?.version ?? 0) + 1,
      lease: request.ignore_lease ? (before?.lease ?? 0n) : request.lease,
      deleted: false,
    });
    return putText(request.prev_kv && before !== undefined ? versionText(before) : undefined);
  }

  private delete(request: etcdserverpb.DeleteRangeRequest): string {
    const rows = this.history.rows(keyRange(request.key, request.range_end), this.now);
    for (const row of rows) this.remove(row.key);
    return deleteText(rows.length, request.prev_kv ? rows.map(versionText) : []);
  }

  private remove(key: string): void {
    this.hasChanged = true;
    this.history.add({ key, value: '', create: 0, mod: this.now, version: 0, lease: 0n, deleted: true });
  }

  private compact(revision: bigint): string {
    if (revision <= BigInt(this.compacted)) throw new Refused('Compacted');
    if (revision > BigInt(this.revision)) throw new Refused('FutureRev');
    this.compacted = Number(revision);
    return '';
  }

  /** An expiry that was decided before the lease of this id was granted was about another one. */
  private counts({ id, isOfThisTerm, decidedAt }: Extract<Command, { kind: 'expire' }>): boolean {
    return isOfThisTerm && this.leases.has(id) && (this.grants.get(id) ?? 0) <= decidedAt;
  }

  private grant(id: bigint, ttl: bigint, index: number): string {
    if (this.leases.has(id)) throw new Refused('LeaseExist');
    this.grants.set(id, index);
    this.leases.set(id, ttl);
    return `lease ${id} for ${ttl}`;
  }

  private revoke(id: bigint): string {
    for (const key of this.keysOf(id, this.revision)) this.remove(key);
    this.leases.delete(id);
    return '';
  }

  private alarm({ action, memberID, alarm }: etcdserverpb.AlarmRequest): string {
    const { ACTIVATE } = etcdserverpb.AlarmRequest_AlarmAction;
    const name = `${memberID}/${alarm}`;
    if (action === ACTIVATE) this.alarms.set(name, { memberID, alarm });
    else this.alarms.delete(name);
    return '';
  }

  /** Every compare, nested ones too, is decided on the state before the transaction. */
  private taken(request: etcdserverpb.TxnRequest, revision: number): readonly etcdserverpb.RequestOp[] {
    const succeeded = request.compare.every((compare) => holds(this.history, compare, revision));
    return succeeded ? request.success : request.failure;
  }

  /** Refuses the whole transaction before anything is written: first for its puts, then for its ranges. */
  private check(request: etcdserverpb.TxnRequest, horizon: Horizon): void {
    this.visit(request, horizon, ({ request: op }) => {
      if (op?.$case !== 'request_put') return;
      this.checkKey(op.value, horizon.current);
      this.checkLease(op.value);
    });
    this.visit(request, horizon, ({ request: op }) => {
      const reason = op?.$case === 'request_range' ? refusal(op.value.revision, horizon) : undefined;
      if (reason !== undefined) throw new Refused(reason);
    });
  }

  /** Every operation that will be run, nested ones too. */
  private visit(
    request: etcdserverpb.TxnRequest,
    horizon: Horizon,
    look: (op: etcdserverpb.RequestOp) => void,
  ): void {
    for (const op of this.taken(request, horizon.current)) {
      look(op);
      if (op.request?.$case === 'request_txn') this.visit(op.request.value, horizon, look);
    }
  }

  private checkKey(request: etcdserverpb.PutRequest, revision: number): void {
    if (!request.ignore_value && !request.ignore_lease) return;
    if (this.history.at(request.key.toString('latin1'), revision) === undefined)
      throw new Refused('KeyNotFound');
  }

  private checkLease(request: etcdserverpb.PutRequest): void {
    if (request.lease !== 0n && !this.leases.has(request.lease)) throw new Refused('LeaseNotFound');
  }

  private runTxn(request: etcdserverpb.TxnRequest, before: number): string {
    const ops = this.taken(request, before);
    const texts = ops.map(({ request: op }) => {
      switch (op?.$case) {
        case 'request_range':
          return readRange(this.history, op.value, before === this.revision ? this.now : before);
        case 'request_put':
          return this.put(op.value);
        case 'request_delete_range':
          return this.delete(op.value);
        case 'request_txn':
          return this.runTxn(op.value, before);
        default:
          throw new Refused('KeyNotFound');
      }
    });
    return txnText(ops === request.success, texts);
  }
}

function grows(command: Command): boolean {
  if (command.kind === 'txn') return hasPut(command.request);
  return command.kind === 'put' || command.kind === 'grant';
}

function hasPut(txn: etcdserverpb.TxnRequest): boolean {
  return [...txn.success, ...txn.failure].some(
    ({ request }) =>
      request?.$case === 'request_put' || (request?.$case === 'request_txn' && hasPut(request.value)),
  );
}
