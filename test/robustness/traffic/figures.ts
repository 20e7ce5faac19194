import { type TrafficReport } from './traffic.js';

interface Figures {
  runs: number;
  rounds: number;
  violations: number;
  acknowledged: number;
  unknown: number;
}

/** Adds up what runs of a suite found, by what was broken, for the table at the end of a full run. */
export class FigureTable {
  private readonly byFault = new Map<string, Figures>();

  /** @param rounds How often something was broken in this run. */
  add(fault: string, report: TrafficReport, rounds = 1): void {
    for (const name of [fault, 'all']) {
      const sums = this.byFault.get(name) ?? {
        runs: 0,
        rounds: 0,
        violations: 0,
        acknowledged: 0,
        unknown: 0,
      };
      this.byFault.set(name, sums);
      sums.runs++;
      sums.rounds += rounds;
      sums.violations += report.violations.length;
      sums.acknowledged += report.acknowledged;
      sums.unknown += report.unknown;
    }
  }

  get text(): string {
    const rows = [...this.byFault].map(
      ([fault, sums]) => `| ${[fault, ...Object.values(sums)].join(' | ')} |`,
    );
    const head = '| fault | runs | rounds | violations | acknowledged | unknown |';
    const all = rows.findIndex((row) => row.startsWith('| all |'));
    return [head, '|---|---|---|---|---|---|', ...rows.filter((_, at) => at !== all), rows[all]].join('\n');
  }
}
