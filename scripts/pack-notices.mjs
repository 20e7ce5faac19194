// The licences of what is bundled and not ours, as its sources state them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = 'node_modules/@bufbuild/protobuf';

export function thirdPartyNotices() {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const headers = ['binary-encoding.js', 'varint.js'].map(headerOf);
  return [
    '# Third-party notices',
    '',
    `The code in \`dist\` contains parts of ${name} ${version} (${license}).`,
    ...headers.flatMap((header) => ['', '```', header, '```']),
    '',
    'The Apache License, Version 2.0 is in the file LICENSE.',
    '',
  ].join('\n');
}

/** The comment in which a file of the package begins. */
function headerOf(file) {
  const lines = readFileSync(join(folder, 'dist/esm/wire', file), 'utf8').split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  if (end < 1) throw new Error(`${folder}: ${file} begins with no licence any more`);
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
}
