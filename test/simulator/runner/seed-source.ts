import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Arguments } from './arguments.js';
import { runJob, type SeedOutcome } from './seed-job.js';

/** Gets every outcome; false ends the run. */
export type OnOutcome = (outcome: SeedOutcome) => boolean;

const program = fileURLToPath(new URL('../main.js', import.meta.url));

/** Runs the seeds one after the other in this process. */
export async function runHere(
  options: Arguments,
  onOutcome: OnOutcome,
  print: (line: string) => void,
): Promise<void> {
  for (let seed = options.first; seed <= options.last; seed++) {
    if (!onOutcome(await runJob(seed, options, options.trace ? print : undefined))) return;
  }
}

/**
 * Runs the seeds in as many processes as there are jobs. Each gets the next seed when it is done with one, so that long ones hold up
 * nobody; outcomes come in the order in which they are there.
 *
 * @throws Error when one of the processes ends before it was told to.
 */
export async function runInProcesses(
  options: Arguments,
  args: readonly string[],
  onOutcome: OnOutcome,
): Promise<void> {
  let next = options.first;
  let isOver = false;
  const start = (): Promise<void> => {
    const child = fork(program, [...args, '--worker'], { serialization: 'advanced' });
    return converse(child, (outcome) => {
      if (outcome !== undefined && !onOutcome(outcome)) isOver = true;
      return isOver || next > options.last ? undefined : next++;
    });
  };
  await Promise.all(Array.from({ length: options.jobs }, start));
}

/** @param nextSeed Gets the last outcome and gives the next seed; undefined lets the child go. */
function converse(
  child: ChildProcess,
  nextSeed: (outcome: SeedOutcome | undefined) => number | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    child.on('message', (message: SeedOutcome | 'ready') => {
      const seed = nextSeed(message === 'ready' ? undefined : message);
      isDone = seed === undefined;
      if (seed === undefined) child.disconnect();
      else child.send(seed);
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (isDone) resolve();
      else reject(new Error(`a process that ran seeds ended with ${signal ?? code}`));
    });
  });
}
