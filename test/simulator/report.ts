import { type PlantedBug } from './planted/planted-bug.js';
import { type RunResult } from './run.js';

/** One line for one seed. */
export function lineOf(result: RunResult, wallMs: number): string {
  const { seed, hash, answers, entries, watchEvents, expiries, crashes, faults, virtualMs, violation } =
    result;
  const happened = Object.entries(faults).filter(([, count]) => (count as number) > 0);
  return [
    `seed ${seed}`,
    `trace ${hash}`,
    `${answers} answers`,
    `${entries} entries`,
    `${watchEvents} watch events`,
    `${expiries} expiries`,
    `${crashes} crashes`,
    `faults {${happened.map(([kind, count]) => `${kind} ${count}`).join(', ')}}`,
    `${(virtualMs / 1000).toFixed(1)} s simulated in ${wallMs.toFixed(0)} ms`,
    violation === undefined ? 'ok' : `VIOLATION ${violation.property}`,
  ].join('  ');
}

/** What a person needs to understand a violation, and the command that shows it again. */
export function reportOf(result: RunResult, planted: PlantedBug | undefined): string {
  const { violation, seed, tail, virtualMs } = result;
  if (violation === undefined) return '';
  const replay = `npm run sim -- --seed=${seed}${planted === undefined ? '' : ` --planted=${planted.name}`} --trace`;
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
