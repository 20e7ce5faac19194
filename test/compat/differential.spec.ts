import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess } from '../members/member-process.js';
import { Chance } from './chance.js';
import { knownDifferences } from './known-differences.js';
import { StepSource, type Step } from './operations.js';
import { Subject } from './subject.js';

const sequences = process.env['CONCLAVE_FULL'] === '1' ? 1_000 : 300;
const stepsPerSequence = 30;
const sequencesPerTest = 25;

describe.skipIf(!hasProgram('etcd'))('answers, errors and events equal etcd', () => {
  const members: MemberProcess[] = [];
  let etcd: Subject;
  let ours: Subject;

  beforeAll(async () => {
    members.push(await MemberProcess.create('etcd'), await MemberProcess.create('conclave'));
    await Promise.all(members.map((member) => member.start()));
    etcd = new Subject('etcd', members[0].address);
    ours = new Subject('conclave', members[1].address);
  });

  afterAll(async () => {
    etcd?.close();
    ours?.close();
    await Promise.all(members.map((member) => member.remove()));
  });

  for (let first = 0; first < sequences; first += sequencesPerTest) {
    it(`sequences ${first} to ${first + sequencesPerTest - 1}`, async () => {
      for (let seed = first; seed < first + sequencesPerTest; seed++) await compareSequence(seed);
    });
  }

  async function compareSequence(seed: number): Promise<void> {
    const leases = [1, 2, 3, 4].map((number) => BigInt(seed * 10 + number));
    const source = new StepSource(new Chance(seed), `s${seed}/`, leases);
    etcd.begin();
    ours.begin();
    const trail: string[] = [];
    for (let at = 0; at < stepsPerSequence; at++) {
      const step = source.next();
      const [expected, answer] = await Promise.all([etcd.run(step), ours.run(step)]);
      trail.push(`${describeStep(step)}\n    etcd: ${expected}\n    ours: ${answer}`);
      const isKnown = knownDifferences.some((row) => row.matches(step, expected, answer));
      if (expected !== answer && !isKnown) expect.fail(`sequence ${seed}, step ${at}:\n${trail.slice(-6).join('\n')}`);
      // What a watch reads from history must have arrived before anything is compacted or cancelled.
      if (step.kind === 'watch' && step.back !== undefined) await compareWatches(seed, trail);
    }
    await compareWatches(seed, trail);
    etcd.end();
    ours.end();
  }

  /** Catching up takes its time on either side: waits for further responses while the logs differ. */
  async function compareWatches(seed: number, trail: readonly string[]): Promise<void> {
    const differs = (): boolean => render(etcd.watchLogs()) !== render(ours.watchLogs());
    while (differs()) {
      const arrived = await Promise.race([etcd.nextArrival(3_000), ours.nextArrival(3_000)]);
      if (arrived || !differs()) continue;
      const difference = `etcd:\n${render(etcd.watchLogs())}\nours:\n${render(ours.watchLogs())}`;
      expect.fail(`watches of sequence ${seed}:\n${trail.join('\n')}\n${difference}`);
    }
  }
});

function render(logs: ReadonlyMap<string, string>): string {
  return [...logs].map(([id, log]) => `watch ${id}\n${log}`).join('\n');
}

function describeStep(step: Step): string {
  return JSON.stringify(step, (_key, part: unknown) => {
    if (typeof part === 'bigint') return part.toString();
    if (typeof part === 'object' && part !== null && (part as { type?: unknown }).type === 'Buffer') {
      return Buffer.from((part as unknown as { data: number[] }).data).toString('latin1');
    }
    return part;
  });
}
