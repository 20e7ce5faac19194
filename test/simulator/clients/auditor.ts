import { etcdserverpb } from '@conclave/protocol';
import { type Draw } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { Violation } from '../world/violation.js';
import { Connection, type ClientParts } from './connection.js';
import { hashRequest } from './requests.js';

/**
 * Asks members for the hash of their history at some revision, now and then. Whoever has the same revisions compacted away has the same
 * hash (K10): all members, at any time, however far the work of a compaction has come.
 */
export class Auditor {
  private readonly connection: Connection;
  /** By revision and compact revision: the hash, and who told it first. */
  private readonly hashes = new Map<string, { readonly hash: number; readonly member: number }>();
  private questions = 0;
  private isOver = false;

  constructor(
    private readonly parts: ClientParts,
    /** Mean pause between two questions. */
    private readonly everyMs: number,
    client: number,
  ) {
    this.connection = new Connection(parts, client);
  }

  start(): void {
    const { fate, schedule } = this.parts;
    const number = ++this.questions;
    schedule.after(
      fate.below(2_000 * this.everyMs, 'pause of the auditor', 0, number) / 1000,
      'the auditor is awake',
      () => {
        if (this.isOver) return;
        if (!this.connection.isWaiting) this.askAny(fate.draw('audit', 0, number));
        this.start();
      },
    );
  }

  /** From now on it asks only what it is told to. */
  stop(): void {
    this.isOver = true;
  }

  broken(member: Member): void {
    this.connection.broken(member);
  }

  /** @param done Whether the member told its hash. */
  ask(member: Member, revision: number, done: (isTold: boolean) => void): void {
    this.connection.home.stay(member);
    this.connection.call(hashRequest(revision), (outcome) => {
      if (outcome.kind === 'ok') this.judge(member.number, outcome.response);
      done(outcome.kind === 'ok');
    });
  }

  private askAny(draw: Draw): void {
    const { members, log } = this.parts;
    const serving = members.filter(({ engine }) => engine !== undefined);
    if (serving.length === 0) return;
    const { revision, compacted } = log.model;
    const at = draw.chance(0.3) ? 0 : draw.between(Math.max(1, compacted), revision);
    this.ask(draw.pick(serving), at, () => {});
  }

  private judge(member: number, response: Uint8Array): void {
    const { hash, compact_revision, hash_revision } = etcdserverpb.HashKVResponse.decode(response);
    const place = `revision ${hash_revision}, compacted to ${compact_revision}`;
    const known = this.hashes.get(place);
    if (known === undefined) this.hashes.set(place, { hash, member });
    else if (known.hash !== hash) {
      throw new Violation(
        'K10',
        `the hash at ${place}, is ${hash} at member ${member}, and was ${known.hash} at member ${known.member}`,
      );
    }
  }
}
