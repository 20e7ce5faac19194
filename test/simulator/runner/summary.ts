import { type RunResult } from '../run.js';
import { type SeedOutcome } from './seed-job.js';

interface FaultSum {
  total: number;
  seeds: number;
}

/** What many runs have shown, in figures. */
export class Summary {
  private readonly started = performance.now();
  private readonly faults = new Map<string, FaultSum>();
  private readonly sums = new Map<keyof RunResult, number>();
  private readonly violations: string[] = [];
  private seeds = 0;
  private repeated = 0;
  private undecided = 0;
  private cpuSeconds = 0;

  add({ result, cpuSeconds, secondHash }: SeedOutcome): void {
    this.seeds++;
    this.cpuSeconds += cpuSeconds;
    if (secondHash !== undefined) this.repeated++;
    if (result.isUndecided) this.undecided++;
    if (result.violation !== undefined)
      this.violations.push(`${result.violation.property} in seed ${result.seed}`);
    for (const key of counted) this.sums.set(key, (this.sums.get(key) ?? 0) + (result[key] as number));
    this.count('machine', result.faults);
    this.count('cluster', result.network);
    this.count('workers', result.workers);
  }

  get failures(): number {
    return this.violations.length;
  }

  /** In Markdown. @param what Which worlds these were. */
  lines(what: string): string[] {
    const sum = (key: (typeof counted)[number]): string => (this.sums.get(key) ?? 0).toLocaleString('en');
    const hours = ((this.sums.get('virtualMs') ?? 0) / 3_600_000).toFixed(1);
    const minutes = (performance.now() - this.started) / 60_000;
    const { seeds, failures, repeated, cpuSeconds } = this;
    return [
      '',
      `${seeds.toLocaleString('en')} seeds (${what}): ${seeds - failures} passed, ${failures} failed` +
        `${failures > 0 ? ` (${this.violations.join(', ')})` : ''}.`,
      `${sum('operations')} operations, ${sum('answers')} answers judged, ${sum('witnessed')} of them also by the linearizability ` +
        `checker (${this.undecided} runs undecided), ${sum('entries')} entries, ${sum('watchEvents')} watch events, ` +
        `${sum('expiries')} leases run out, ${sum('leaders')} leaders, ${sum('crashes')} crashes, ${sum('effects')} disk effects.`,
      `${hours} simulated hours, ${sum('events')} events. ${repeated} seeds were run twice, with equal traces.`,
      `${minutes.toFixed(1)} minutes, ${(cpuSeconds / 60).toFixed(1)} CPU minutes: ${rate(seeds, cpuSeconds / 60)} seeds a minute ` +
        `per core, ${rate(seeds, minutes)} in all.`,
      '',
      '| where | what happened | times | in seeds |',
      '|---|---|---|---|',
      ...this.faultRows(),
      '',
    ];
  }

  private faultRows(): string[] {
    const happened = [...this.faults].filter(([, { total }]) => total > 0);
    return happened.map(([name, { total, seeds }]) => {
      const [where, kind] = name.split('/');
      const words = kind.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      return `| ${where} | ${words} | ${total.toLocaleString('en')} | ${seeds.toLocaleString('en')} |`;
    });
  }

  private count(where: string, counts: object): void {
    for (const [kind, count] of Object.entries(counts) as [string, number][]) {
      const sum = this.faults.get(`${where}/${kind}`) ?? { total: 0, seeds: 0 };
      sum.total += count;
      if (count > 0) sum.seeds++;
      this.faults.set(`${where}/${kind}`, sum);
    }
  }
}

const counted = [
  'operations',
  'answers',
  'witnessed',
  'entries',
  'watchEvents',
  'expiries',
  'leaders',
  'crashes',
  'effects',
  'virtualMs',
  'events',
] as const;

function rate(seeds: number, minutes: number): string {
  return minutes === 0 ? '0' : (seeds / minutes).toFixed(0);
}
