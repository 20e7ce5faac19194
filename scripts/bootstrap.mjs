// Brings a checkout into the state that everything else expects: dependencies as the lock file says, sources built.
// Needs nothing but Node and npm, so that it runs in a fresh clone; when nothing changed it takes about a second.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Conclave needs Node 20.19 or later; this is ${process.versions.node}.`);
  process.exit(1);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const lockHash = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
const marker = join('node_modules', '.conclave-installed');
if (!existsSync(marker) || readFileSync(marker, 'utf8') !== lockHash) {
  console.log('Installing dependencies …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(marker, lockHash);
}
// Nothing is printed meanwhile, and the first time it takes half a minute.
if (!existsSync('apps/server/dist')) console.log('Building …');
run(process.execPath, ['node_modules/typescript/bin/tsc', '-b']);
