import { foundLine, lineOf, reportOf } from './report.js';
import { readArguments, usage, type Arguments } from './runner/arguments.js';
import { Coverage } from './runner/coverage.js';
import { type SeedOutcome } from './runner/seed-job.js';
import { runHere, runInProcesses } from './runner/seed-source.js';
import { Summary } from './runner/summary.js';
import { serveSeeds } from './runner/worker.js';
import { shrink } from './shrink.js';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @returns the exit code: 0 when nothing was violated, 1 when something was, 2 for wrong arguments. */
export async function main(args: readonly string[]): Promise<number> {
  let options: Arguments | undefined;
  try {
    options = readArguments(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    print(usage);
    return 0;
  }
  if (options.isWorker) {
    await serveSeeds(options);
    return 0;
  }
  if (options.mutant === 'all') {
    const { searchAll } = await import('./mutants/mutant-table.js');
    return searchAll(`${options.first}..${options.last}`, Math.min(options.within, 90), print) === 0 ? 0 : 1;
  }
  if (options.shrinks) {
    const smaller = await shrink(options.first, options, print);
    print(JSON.stringify(smaller, undefined, 2));
    return 1;
  }
  return runSeeds(options, args);
}

async function runSeeds(options: Arguments, args: readonly string[]): Promise<number> {
  const summary = new Summary();
  let isSound = true;
  const take = (outcome: SeedOutcome): boolean => {
    const { result, wallMs, secondHash } = outcome;
    if (!options.isQuiet) print(lineOf(result, wallMs));
    summary.add(outcome);
    if (secondHash !== undefined && secondHash !== result.hash) {
      print(`seed ${result.seed} is not deterministic: its trace was ${result.hash}, then ${secondHash}`);
      return (isSound = false);
    }
    if (result.violation !== undefined) {
      print(reportOf(result, options));
      if (options.mutant !== undefined) print(foundLine(result, result.seed - options.first + 1));
      return options.goesOn;
    }
    return process.cpuUsage().user / 1e6 < options.within;
  };
  const coverage = options.covers ? new Coverage() : undefined;
  if (options.jobs === 1 && coverage === undefined) await runHere(options, take, print);
  else await runInProcesses(options, args, take);
  if (options.last > options.first) {
    const { members, profileName } = options;
    for (const line of summary.lines(`members: ${members}, profile: ${profileName}`)) print(line);
  }
  for (const line of coverage?.lines() ?? []) print(line);
  return isSound && summary.failures === 0 ? 0 : 1;
}
