// Stages @conclave/client for publication: one source as ES modules and as CommonJS, with declarations for both, and the
// libraries of this repository inside, which are not published.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { bundle, packageOf } from './pack-bundle.mjs';
import { packDeclarations } from './pack-declarations.mjs';
import { thirdPartyNotices } from './pack-notices.mjs';

const source = 'libs/client';
/** Loaded late by name, so that no import tells. */
const dependencies = ['yaml'];

/** Stages the package in the folder. */
export async function stageClient(folder, root) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const entries = entriesOf(manifest);
  const published = publishedManifest(manifest, entries, root);
  const declared = Object.keys({ ...published.dependencies, ...published.peerDependencies });
  const input = Object.fromEntries(
    entries.map(({ name, path }) => [name, join(source, 'src', `${path}.ts`)]),
  );
  const external = [/^node:/, ...declared.map((name) => new RegExp(`^${name}(?:/|$)`))];
  for (const format of ['esm', 'cjs']) {
    await bundle({ input, format, external, dir: join(folder, 'dist') });
  }
  const imported = packDeclarations({
    root: join(source, 'dist'),
    entries: entries.map(({ path }) => `${path}.d.ts`),
    out: join(folder, 'dist/types'),
  });
  const undeclared = imported.filter(
    (name) => !name.startsWith('node:') && !declared.includes(packageOf(name)),
  );
  if (undeclared.length > 0)
    throw new Error(`the declarations import ${undeclared.join(', ')}, which nothing declares`);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  cpSync('LICENSE', join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'README.md'), publishedReadme());
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.md'), thirdPartyNotices());
}

/** Each entry point: its name (`index` for `.`) and its module below `src`, without its ending. */
function entriesOf({ exports }) {
  return Object.entries(exports).map(([name, target]) => ({
    name: name === '.' ? 'index' : name.slice(2),
    path: posix.relative('src', target['conclave-source'].replace(/\.ts$/, '')),
  }));
}

function publishedManifest(manifest, entries, root) {
  const { name, version, description, license, keywords, engines, peerDependencies, peerDependenciesMeta } =
    manifest;
  const types = (path, extension) => `./dist/types/${path}.d.${extension}`;
  const targets = entries.map((entry) => [
    entry.name === 'index' ? '.' : `./${entry.name}`,
    {
      import: { types: types(entry.path, 'ts'), default: `./dist/${entry.name}.js` },
      require: { types: types(entry.path, 'cts'), default: `./dist/${entry.name}.cjs` },
    },
  ]);
  const others = entries.filter((entry) => entry.name !== 'index');
  return {
    name,
    version,
    description,
    license,
    keywords,
    engines,
    type: 'module',
    // Decorators register what they need when their entry point is loaded.
    sideEffects: others.map((entry) => `./dist/${entry.name}*`),
    main: './dist/index.cjs',
    module: './dist/index.js',
    types: types('index', 'cts'),
    // For `moduleResolution: node`, which does not read `exports`.
    typesVersions: {
      '*': Object.fromEntries(others.map((entry) => [entry.name, [types(entry.path, 'cts')]])),
    },
    exports: { ...Object.fromEntries(targets), './package.json': './package.json' },
    files: ['dist', 'LICENSE', 'README.md', 'THIRD-PARTY-NOTICES.md'],
    dependencies: Object.fromEntries(dependencies.map((each) => [each, `^${root.dependencies[each]}`])),
    peerDependencies,
    peerDependenciesMeta,
  };
}

/** Without what only somebody with the sources at hand can follow. */
function publishedReadme() {
  const readme = readFileSync(join(source, 'README.md'), 'utf8');
  const [kept, ...left] = readme.split(/^## Pitfalls,.*$/m);
  if (left.length !== 1)
    throw new Error(`${source}/README.md: the section "Pitfalls, …" that stays here was not found`);
  const next = left[0].search(/^## /m);
  return `${kept.trimEnd()}\n${next < 0 ? '' : `\n${left[0].slice(next)}`}`;
}
