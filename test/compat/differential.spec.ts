import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess } from '../members/member-process.js';
import { textOf } from './answer-text.js';
import { Chance } from './chance.js';
import { type KnownDifference, knownDifferences } from './known-differences.js';
import { StepSource } from './operations.js';
import { Subject } from './subject.js';

const sequences = process.env['CONCLAVE_FULL'] === '1' ? 1_000 : 300;
const stepsPerSequence = 30;
/** Each lane is a pair of servers of its own: one waits for a watch to catch up while the other goes on. */
const lanes = 2;
const sequencesPerTest = 50;

describe.skipIf(!hasProgram('etcd'))('answers, errors and events equal etcd', () => {
  const pairs: Pair[] = [];
  const used = new Set<KnownDifference>();
  let done = 0;
  let isDiverged = false;

  beforeAll(async () => {
    for (let lane = 0; lane < lanes; lane++) pairs.push(await Pair.start(used));
  });

  afterAll(async () => {
    await Promise.all(pairs.map((pair) => pair.remove()));
  });

  for (let first = 0; first < sequences; first += sequencesPerTest) {
    const last = first + sequencesPerTest - 1;
    it(`sequences ${first} to ${last}`, { timeout: 120_000 }, async ({ skip }) => {
      if (isDiverged) skip('the servers differ since an earlier sequence');
      isDiverged = true;
      await Promise.all(
        pairs.map(async (pair, lane) => {
          for (let seed = first + lane; seed <= last; seed += lanes) {
            await pair.compareSequence(seed);
            done++;
          }
        }),
      );
      isDiverged = false;
    });
  }

  it('meets every known difference', ({ skip }) => {
    if (done < sequences) skip('only after all sequences');
    expect(knownDifferences.filter((row) => !used.has(row)).map((row) => row.name)).toEqual([]);
  });
});

/** Both servers, in the same state as long as they answer alike. */
class Pair {
  private constructor(
    private readonly members: readonly MemberProcess[],
    private readonly etcd: Subject,
    private readonly ours: Subject,
    private readonly used: Set<KnownDifference>,
  ) {}

  static async start(used: Set<KnownDifference>): Promise<Pair> {
    const members = [await MemberProcess.create('etcd'), await MemberProcess.create('conclave')];
    await Promise.all(members.map((member) => member.start()));
    const [etcd, ours] = members.map((member) => new Subject(member.kind, member.address));
    return new Pair(members, etcd, ours, used);
  }

  async remove(): Promise<void> {
    this.etcd.close();
    this.ours.close();
    await Promise.all(this.members.map((member) => member.remove()));
  }

  async compareSequence(seed: number): Promise<void> {
    const leases = [1, 2, 3, 4].map((number) => BigInt(seed * 10 + number));
    const source = new StepSource(new Chance(seed), `s${seed}/`, leases);
    const trail: string[] = [];
    await this.both((subject) => subject.begin());
    for (let at = 0; at < stepsPerSequence; at++) {
      const step = source.next();
      const changesHistory =
        step.kind === 'compact' || step.kind === 'cancelWatch' || step.kind === 'progress';
      if (changesHistory) await this.compareWatches(seed, trail);
      const [expected, answer] = await this.both((subject) => subject.run(step));
      trail.push(`${textOf(step)}\n    etcd: ${expected}\n    ours: ${answer}`);
      if (expected === answer) continue;
      const known = knownDifferences.find((row) => row.matches(step, expected, answer));
      if (known === undefined) this.fail(`sequence ${seed}, step ${at}`, trail);
      this.used.add(known);
      if (known.endsSequence === true) return this.end();
    }
    await this.compareWatches(seed, trail);
    this.end();
  }

  private async compareWatches(seed: number, trail: string[]): Promise<void> {
    await this.both((subject) => subject.settle());
    const [expected, told] = [this.etcd.watchLogs(), this.ours.watchLogs()];
    if (expected === told) return;
    this.fail(`watches of sequence ${seed}`, [...trail, `etcd:\n${expected}\nours:\n${told}`]);
  }

  /** With what our member printed last, for an answer may be missing because it ended. */
  private fail(where: string, trail: readonly string[]): never {
    const printed = this.members[1]!.output.split('\n').slice(-20);
    expect.fail([`${where}:`, ...trail.slice(-9), 'our member printed:', ...printed].join('\n'));
  }

  private end(): void {
    this.etcd.end();
    this.ours.end();
  }

  private both<T>(act: (subject: Subject) => Promise<T>): Promise<[T, T]> {
    return Promise.all([act(this.etcd), act(this.ours)]);
  }
}
