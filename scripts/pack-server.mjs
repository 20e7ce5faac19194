// Stages @conclave/server for publication: the program `conclave` and the member that runs inside another process. The
// entry point `./embed` is there as CommonJS too, since test runners that know only CommonJS start members as well.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundle, packageOf } from './pack-bundle.mjs';
import { packDeclarations } from './pack-declarations.mjs';
import { thirdPartyNotices } from './pack-notices.mjs';

const source = 'apps/server';
const executable = 'bin/conclave';
/** How the executable names the modules that it loads here. */
const builtModule = /'(?:\.\.\/)+apps\/server\/dist\/([\w./-]+)\.js'/g;

/** Stages the package in the folder. */
export async function stageServer(folder, root) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const program = readFileSync(executable, 'utf8');
  const modules = [...program.matchAll(builtModule)].map(([, path]) => path);
  const external = Object.keys(root.dependencies);
  const patterns = [/^node:/, ...external.map((name) => new RegExp(`^${name}(?:/|$)`))];
  const dir = join(folder, 'dist');
  const inputs = flat(['embed', ...modules, ...workerModules()]);
  const imported = [
    ...(await bundle({ input: inputs, format: 'esm', external: patterns, dir })),
    ...(await bundle({ input: flat(['embed']), format: 'cjs', external: patterns, dir })),
    ...packDeclarations({ root: join(source, 'dist'), entries: ['embed.d.ts'], out: join(dir, 'types') }),
    ...[...program.matchAll(/from '([^'.:]+)'/g)].map(([, name]) => packageOf(name)),
    ...namedPackages(external),
  ];
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const published = publishedManifest(manifest, new Set(imported), root);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  const moved = program.replace(builtModule, (_, path) => `'../dist/${basename(path)}.js'`);
  writeFileSync(join(folder, executable), moved, { mode: 0o755 });
  cpSync('LICENSE', join(folder, 'LICENSE'));
  cpSync(join(source, 'README.md'), join(folder, 'README.md'));
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.md'), thirdPartyNotices());
}

/** All in one folder, so that a worker is found beside whichever file starts it. */
function flat(modules) {
  const input = {};
  for (const path of modules) {
    const name = basename(path);
    if (input[name] !== undefined) throw new Error(`two modules of the server are called ${name}`);
    input[name] = join(source, 'src', `${path}.ts`);
  }
  return input;
}

const sources = () =>
  readdirSync(join(source, 'src'), { recursive: true })
    .filter((path) => path.endsWith('.ts') && !/\.(?:spec|fixture|contract)\.ts$/.test(path))
    .map((path) => [path, readFileSync(join(source, 'src', path), 'utf8')]);

/** The files that worker threads run, as the calls of `workerUrl` name them. */
function workerModules() {
  return sources().flatMap(([path, text]) =>
    [...text.matchAll(/workerUrl\(import\.meta\.url, '\.\/([\w-]+)\.js'\)/g)].map(([, name]) =>
      join(path, '..', name).replaceAll('\\', '/'),
    ),
  );
}

/** Packages that the sources name, also those that they load late by name. */
function namedPackages(dependencies) {
  const texts = sources().map(([, text]) => text);
  return dependencies.filter((name) =>
    texts.some((text) => text.includes(`'${name}'`) || text.includes(`'${name}/`)),
  );
}

function publishedManifest({ name, version, description, license, keywords, engines }, imported, root) {
  const used = Object.entries(root.dependencies).filter(([each]) => imported.has(each));
  return {
    name,
    version,
    description,
    license,
    keywords,
    engines,
    type: 'module',
    bin: { conclave: executable },
    exports: {
      './embed': {
        import: { types: './dist/types/embed.d.ts', default: './dist/embed.js' },
        require: { types: './dist/types/embed.d.cts', default: './dist/embed.cjs' },
      },
      './package.json': './package.json',
    },
    typesVersions: { '*': { embed: ['./dist/types/embed.d.cts'] } },
    files: ['bin', 'dist', 'LICENSE', 'README.md', 'THIRD-PARTY-NOTICES.md'],
    dependencies: Object.fromEntries(used.map(([each, range]) => [each, `^${range}`])),
  };
}
