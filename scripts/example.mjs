// Runs an example of the folder examples/: node scripts/example.mjs <name>
// It talks to the members that CONCLAVE_ENDPOINTS names, or to one that is started for it and forgets everything at the end.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const names = readdirSync('examples').filter((name) => existsSync(`examples/${name}/src/main.ts`));
const [name] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`Which one? npm run example -- ${names.join(' | ')}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'examples'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);

let endpoints = process.env.CONCLAVE_ENDPOINTS;
let member;
if (endpoints === undefined) {
  const { startEmbedded } = await import('@conclave/server/embed');
  member = await startEmbedded({ port: 0 });
  endpoints = member.endpoint;
  console.log(`A member in memory serves at ${endpoints}`);
}
const child = spawn(process.execPath, ['--enable-source-maps', `examples/dist/${name}/src/main.js`], {
  stdio: 'inherit',
  env: { ...process.env, CONCLAVE_ENDPOINTS: endpoints },
});
// Ctrl-C reaches the example as well; it ends in its own time, and the member after it.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
}
child.on('exit', async (code, signal) => {
  await member?.stop();
  process.exit(signal === null ? code : 1);
});
