import { type RoundReport } from './cluster-campaign.js';

/** Rounds by fault, as text. Times are those from healing until every member takes a write. */
export function roundTable(rounds: readonly RoundReport[]): string {
  const byFault = new Map<string, RoundReport[]>();
  for (const round of rounds) byFault.set(round.fault, [...(byFault.get(round.fault) ?? []), round]);
  const lines = [...byFault].sort().map(([fault, of]) => row(fault, of));
  const head = '| fault | rounds | violations | acknowledged | unknown | all serve after, median | worst |';
  return [head, '|---|---|---|---|---|---|---|', ...lines, row('all', rounds)].join('\n');
}

function row(fault: string, rounds: readonly RoundReport[]): string {
  const sum = (key: 'acknowledged' | 'unknown' | 'violations'): number =>
    rounds.reduce((total, round) => total + round[key], 0);
  const times = rounds.map(({ servedMs }) => Math.round(servedMs)).sort((a, b) => a - b);
  const median = times[Math.floor((times.length - 1) / 2)] ?? 0;
  const counts = `${rounds.length} | ${sum('violations')} | ${sum('acknowledged')} | ${sum('unknown')}`;
  return `| ${fault} | ${counts} | ${timeText(median)} | ${timeText(times.at(-1) ?? 0)} |`;
}

function timeText(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? `${milliseconds} ms` : 'never';
}
