import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { type Limit } from './cluster/limit.js';
import { type MillionKeyFigures } from './million-keys.js';
import { type PutProfile } from './profile.js';
import { type Comparison, median } from './rounds.js';
import { type SdkRow } from './sdk/sdk.js';
import { type TargetName } from './target.js';

/** The machine that figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly loadAverage: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    loadAverage:
      process.platform === 'linux'
        ? readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')
        : 'unknown',
  };
}

/** A table in Markdown: medians, the ratio and the least one we set out to reach. */
export function comparisonTable(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ name, unit, conclave, etcd, ratio, floor, note }) => [
    `${name} (${unit})`,
    thousands(median(conclave)),
    thousands(median(etcd)),
    ratio.toFixed(2),
    byRound(conclave, etcd),
    floor === undefined ? '' : `${floor} ${ratio >= floor ? 'met' : 'MISSED'}`,
    note,
  ]);
  return table(['what', 'conclave', 'etcd', 'ratio', 'by round', 'floor', 'note'], rows);
}

/** Least, median and greatest ratio of one round: what a machine whose speed changes between rounds does to `ratio`. */
function byRound(conclave: readonly number[], etcd: readonly number[]): string {
  const ratios = conclave.map((figure, round) => figure / etcd[round]);
  return [Math.min(...ratios), median(ratios), Math.max(...ratios)]
    .map((ratio) => ratio.toFixed(2))
    .join(', ');
}

/** Figures of ours alone, with the most that they may be. */
export function limitTable(limits: readonly Limit[], title = 'three members'): string {
  const rows = limits.map(({ name, unit, value, atMost, note }) => [
    `${name} (${unit})`,
    value >= 100 ? thousands(value) : String(Number(value.toFixed(value < 1 ? 3 : 1))),
    atMost === undefined
      ? ''
      : `${atMost < 1 ? String(atMost) : thousands(atMost)} ${value <= atMost ? 'met' : 'MISSED'}`,
    note,
  ]);
  return table([title, 'conclave', 'at most', 'note'], rows);
}

/** The SDK and npm `etcd3`, each on the servers it can be used with. */
export function sdkTable(rows: readonly SdkRow[]): string {
  const cells = rows.map(({ name, unit, oursOnOurs, oursOnEtcd, etcd3OnEtcd, floor }) => {
    const ratio = oursOnOurs / etcd3OnEtcd;
    return [
      `${name} (${unit})`,
      ...[oursOnOurs, oursOnEtcd, etcd3OnEtcd].map(thousands),
      ratio.toFixed(2),
      floor === undefined ? '' : `${floor} ${ratio >= floor ? 'met' : 'MISSED'}`,
      `${(oursOnEtcd / etcd3OnEtcd).toFixed(2)} ${oursOnEtcd >= etcd3OnEtcd ? 'met' : 'MISSED'}`,
    ];
  });
  return table(
    [
      'one client process',
      'ours on ours',
      'ours on etcd',
      'etcd3 on etcd',
      'ratio',
      'floor',
      'on etcd alone (1)',
    ],
    cells,
  );
}

export function millionKeyTable(figures: Readonly<Record<TargetName, MillionKeyFigures>>): string {
  const row = (name: string, pick: (one: MillionKeyFigures) => number, digits = 0): string[] => [
    name,
    pick(figures.conclave).toFixed(digits),
    pick(figures.etcd).toFixed(digits),
  ];
  return table(
    [`${thousands(figures.conclave.keys)} keys`, 'conclave', 'etcd'],
    [
      row('resident MB', (one) => one.residentMegabytes),
      row('anonymous MB', (one) => one.anonymousMegabytes),
      row('resident MB after restart', (one) => one.residentAfterRestartMegabytes),
      row('anonymous MB after restart', (one) => one.anonymousAfterRestartMegabytes),
      row('ready after restart, ms', (one) => one.readyAfterRestartMs),
      row('random puts/s at 10,000 keys', (one) => one.putsFew),
      row('random puts/s at all keys', (one) => one.putsAll),
      row('random gets/s at 10,000 keys', (one) => one.getsFew),
      row('random gets/s at all keys', (one) => one.getsAll),
      row('put p99 ms, median second', (one) => one.putP99Ms, 1),
      row('put p99 ms, worst second', (one) => one.putP99WorstSecondMs, 1),
    ],
  );
}

export function profileTable({ load, busyMicrosecondsPerPut, rows }: PutProfile): string {
  const title = `put path, ${load}: ${busyMicrosecondsPerPut.toFixed(1)} µs of the main thread per put`;
  return table(
    [title, 'share'],
    rows.map(({ functionName, share }) => [functionName, `${(share * 100).toFixed(1)} %`]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join(
    '\n',
  );
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
