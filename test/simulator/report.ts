import { type PlantedBug } from './planted/planted-bug.js';
import { type RunResult } from './run.js';

/** One line for one seed. */
export function lineOf(result: RunResult, wallMs: number): string {
  const { seed, hash, answers, entries, watchEvents, expiries, crashes, virtualMs, violation } = result;
  const all = [...Object.entries(result.faults), ...Object.entries(result.network)] as [string, number][];
  const happened = all.filter(([, count]) => count > 0);
  return [
    `seed ${seed}`,
    `trace ${hash}`,
    `${answers} answers`,
    `${entries} entries`,
    `${watchEvents} watch events`,
    `${expiries} expiries`,
    ...(result.members > 1 ? [`${result.leaders} leaders`] : []),
    `${crashes} crashes`,
    `faults {${happened.map(([kind, count]) => `${kind} ${count}`).join(', ')}}`,
    `${(virtualMs / 1000).toFixed(1)} s simulated in ${wallMs.toFixed(0)} ms`,
    violation === undefined ? 'ok' : `VIOLATION ${violation.property}`,
  ].join('  ');
}

/** What was wrong with the engine on purpose. */
export interface Planted {
  readonly planted?: PlantedBug | undefined;
  readonly mutant?: string | undefined;
  /** The arguments that made its world, beside seed and members. */
  readonly worldArguments?: string | undefined;
}

/** What a person needs to understand a violation, and the command that shows it again. */
export function reportOf(result: RunResult, given: Planted = {}): string {
  const { violation, seed, tail, virtualMs } = result;
  if (violation === undefined) return '';
  const flaw =
    given.mutant !== undefined
      ? ` --mutant=${given.mutant}`
      : given.planted === undefined
        ? ''
        : ` --planted=${given.planted.name}`;
  const members = result.members === 1 ? '' : ` --members=${result.members}`;
  const replay = `npm run sim -- --seed=${seed}${members}${given.worldArguments ?? ''}${flaw} --trace`;
  return [
    '',
    `Property ${violation.property} does not hold at ${virtualMs.toFixed(3)} ms:`,
    `  ${violation.message}`,
    '',
    `The last ${tail.length} events:`,
    ...tail.map((line) => `  ${line}`),
    '',
    `See it again: ${replay}`,
    '',
  ].join('\n');
}

/** One line that says how a mutant was found, after `seeds` seeds. */
export function foundLine({ seed, violation }: RunResult, seeds: number): string {
  const { user, system } = process.cpuUsage();
  const cpu = ((user + system) / 1e6).toFixed(1);
  return `found in seed ${seed}, number ${seeds}, by ${violation?.property}, after ${cpu} CPU seconds`;
}
