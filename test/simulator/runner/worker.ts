import { type RunResult } from '../run.js';
import { type Arguments } from './arguments.js';
import { runJob, type SeedOutcome } from './seed-job.js';

/** Runs the seeds that the parent process names, one at a time, until the parent lets go. */
export function serveSeeds(options: Arguments): Promise<void> {
  process.on('message', (seed: number) => {
    void runJob(seed, options).then((outcome) => process.send?.(withoutClasses(outcome)));
  });
  process.send?.('ready');
  return new Promise((resolve) => process.once('disconnect', resolve));
}

/** An error loses its fields on the way to another process. */
function withoutClasses({ result, ...rest }: SeedOutcome): SeedOutcome {
  const { violation } = result;
  const plain: RunResult['violation'] =
    violation === undefined ? undefined : { property: violation.property, message: violation.message };
  return { ...rest, result: { ...result, violation: plain } };
}
