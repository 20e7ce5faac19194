import { register } from 'node:module';

// Built files import the engine by the place of its sources.
register('./engine-resolution.js', import.meta.url);
const { main } = await import('./command.js');
process.exitCode = await main(process.argv.slice(2));
