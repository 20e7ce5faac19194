// Makes the tarballs that are published: node scripts/pack.mjs [--out=<folder>]; default dist/packages.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stageClient } from './pack-client.mjs';
import { stageServer } from './pack-server.mjs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const out = resolve(
  process.argv.find((argument) => argument.startsWith('--out='))?.slice('--out='.length) ?? 'dist/packages',
);
const root = JSON.parse(readFileSync('package.json', 'utf8'));

function pack(folder) {
  const printed = execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', out], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [{ filename, size, unpackedSize, entryCount }] = JSON.parse(printed);
  const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KB`;
  console.log(
    `${join(out, filename)}: ${entryCount} files, ${kilobytes(size)}, ${kilobytes(unpackedSize)} unpacked`,
  );
}

mkdirSync(out, { recursive: true });
for (const [name, stage] of Object.entries({ client: stageClient, server: stageServer })) {
  const folder = join(out, name);
  await stage(folder, root);
  pack(folder);
}
