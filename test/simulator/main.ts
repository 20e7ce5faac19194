import { rmSync } from 'node:fs';
import { register } from 'node:module';

const args = process.argv.slice(2);
const mutant = args.find((arg) => arg.startsWith('--mutant='))?.slice('--mutant='.length);
// Only then: building one needs the compiler.
const isOne = mutant !== undefined && mutant !== 'all';
const engine = !isOne ? undefined : (await import('./mutants/mutated-engine.js')).build(mutant);
// Built files import the engine by the place of its sources; a mutant is in a place of its own.
register('./engine-resolution.js', import.meta.url, { data: { engine } });
const { main } = await import('./command.js');
process.exitCode = await main(args);
if (engine !== undefined) rmSync(engine, { recursive: true });
