import type { TargetName } from './target.js';

/** One figure per target, measured in rounds that alternate between the targets so that drift hits both alike. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly conclave: readonly number[];
  readonly etcd: readonly number[];
  /** Median of ours over median of etcd's. */
  readonly ratio: number;
  /** The least ratio that we set out to reach; undefined for figures that are shown for information. */
  readonly floor: number | undefined;
  /** More about the run, for the table's last column. */
  readonly note: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Runs `measure` on each target in turn, `rounds` times, and compares the medians. */
export async function compare<T>(
  about: { readonly name: string; readonly unit: string; readonly floor?: number },
  targets: Readonly<Record<TargetName, T>>,
  rounds: number,
  measure: (target: T) => Promise<number>,
  note: () => Promise<string> | string = () => '',
): Promise<Comparison> {
  const figures: Record<TargetName, number[]> = { conclave: [], etcd: [] };
  for (let round = 0; round < rounds; round++) {
    const order: TargetName[] = round % 2 === 0 ? ['conclave', 'etcd'] : ['etcd', 'conclave'];
    for (const name of order) {
      const figure = await measure(targets[name]);
      figures[name].push(figure);
      process.stderr.write(
        `  ${about.name}, round ${round + 1}/${rounds}, ${name}: ${figure.toFixed(0)} ${about.unit}\n`,
      );
    }
  }
  const ratio = median(figures.conclave) / median(figures.etcd);
  return { ...about, floor: about.floor, ...figures, ratio, note: await note() };
}
