// Installs the packed packages in new applications outside of the repository, as users do, and tries them there:
//   node scripts/try-packages.mjs [--out=<packs>] [--keep] [nest10 nest11 nest12 node-esm node-cjs]
// Each application is type-checked under `strict`, runs its unit tests, and runs against a member until it has done what it
// is for. Needs the registry. The packs must be there (npm run pack).
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const packs = resolve(
  options.find((option) => option.startsWith('--out='))?.slice(6) ?? join(root, 'dist/packages'),
);

const strict = {
  strict: true,
  noUncheckedIndexedAccess: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  outDir: 'dist',
  rootDir: 'src',
  sourceMap: true,
};
const commonJs = {
  ...strict,
  module: 'commonjs',
  moduleResolution: 'node',
  target: 'ES2021',
  lib: ['ES2021'],
};
const nodeNext = {
  ...strict,
  module: 'nodenext',
  moduleResolution: 'nodenext',
  target: 'ES2023',
  types: ['node'],
};
const jest = {
  preset: 'ts-jest',
  testEnvironment: 'node',
  moduleFileExtensions: ['js', 'json', 'ts'],
  rootDir: 'src',
  testRegex: '.*\\.spec\\.ts$',
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
const nest = (major, schedule) => ({
  '@nestjs/common': `^${major}.0.0`,
  '@nestjs/core': `^${major}.0.0`,
  '@nestjs/testing': `^${major}.0.0`,
  '@nestjs/schedule': `^${schedule}.0.0`,
  'class-transformer': '^0.5.1',
  'class-validator': '^0.14.0',
  'reflect-metadata': '^0.2.0',
  rxjs: '^7.8.0',
});

/** Every application: which sources, which packages, how it is compiled and tested, and what it says when it works. */
const applications = {
  nest10: {
    source: 'nest-app',
    // As `nest new` made it then: CommonJS, the old module resolution, Jest.
    type: 'commonjs',
    packages: {
      ...nest(10, 4),
      typescript: '~5.1.3',
      jest: '^29.5.0',
      'ts-jest': '^29.1.0',
      '@types/jest': '^29.5.2',
    },
    compilerOptions: commonJs,
    test: ['jest'],
    says: [/paid invoice/, /invoices paid/, /retries: /],
  },
  nest11: {
    source: 'nest-app',
    type: 'commonjs',
    packages: {
      ...nest(11, 6),
      typescript: '~5.7.3',
      jest: '^29.7.0',
      'ts-jest': '^29.2.5',
      '@types/jest': '^29.5.14',
    },
    compilerOptions: { ...nodeNext, isolatedModules: true },
    test: ['jest'],
    says: [/paid invoice/, /invoices paid/, /retries: /],
  },
  nest12: {
    source: 'nest-app',
    type: 'module',
    packages: { ...nest(12, 12), typescript: '~6.0.3', vitest: '^4.1.12' },
    compilerOptions: { ...nodeNext, isolatedModules: true },
    test: ['vitest', 'run'],
    says: [/paid invoice/, /invoices paid/, /retries: /],
  },
  'node-esm': {
    source: 'node-worker',
    type: 'module',
    packages: { rxjs: '^7.8.0', typescript: '~6.0.3' },
    compilerOptions: { ...nodeNext, skipLibCheck: false },
    says: [/paid up to/, /leads, term/, /report: /],
  },
  'node-cjs': {
    source: 'node-worker',
    type: 'commonjs',
    packages: { rxjs: '^7.8.0', typescript: '~5.9.0' },
    compilerOptions: { ...nodeNext, skipLibCheck: false },
    says: [/paid up to/, /leads, term/, /report: /],
  },
};

function run(folder, command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

function tarball(name) {
  const { version } = JSON.parse(readFileSync(join(packs, name, 'package.json'), 'utf8'));
  return `file:${join(packs, `conclave-${name}-${version}.tgz`)}`;
}

function create(name, folder) {
  const { source, type, packages, compilerOptions, test } = applications[name];
  const from = join(root, 'examples', source);
  mkdirSync(join(folder, 'src'), { recursive: true });
  for (const file of readdirSync(join(from, 'src'))) {
    const text = readFileSync(join(from, 'src', file), 'utf8');
    writeFileSync(join(folder, 'src', file), adapted(text, type, test?.[0]));
  }
  if (test?.[0] === 'vitest') cpSync(join(from, 'vitest.config.ts'), join(folder, 'vitest.config.ts'));
  const manifest = {
    name: `try-${name}`,
    private: true,
    type,
    dependencies: {
      '@conclave/client': tarball('client'),
      '@conclave/server': tarball('server'),
      ...packages,
    },
    devDependencies: { '@types/node': '^20.19.0' },
    ...(test?.[0] === 'jest' ? { jest } : {}),
  };
  const config = { compilerOptions: { skipLibCheck: true, ...compilerOptions }, include: ['src'] };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config, null, 2));
}

/** The sources are those of the examples, but for the name of the test runner and for what CommonJS has not. */
function adapted(text, type, runner) {
  const tested = runner === 'jest' ? text.replace("from 'vitest'", "from '@jest/globals'") : text;
  if (type === 'module' || !/^await /m.test(tested)) return tested;
  const [, imports, body] = /^((?:\/\/.*\n|import .*\n)*)([^]*)$/.exec(tested);
  return `${imports}async function main(): Promise<void> {\n${body}}\nvoid main();\n`;
}

/** Runs it until it has said everything, then asks it to end. */
async function tryRunning(name, folder, endpoint) {
  const { says } = applications[name];
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: folder,
    env: { ...process.env, CONCLAVE_ENDPOINTS: endpoint },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let text = '';
  let isAsked = false;
  const read = (chunk) => {
    text += chunk;
    if (isAsked || !says.every((words) => words.test(text))) return;
    isAsked = true;
    child.kill('SIGTERM');
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  // Nest ends a process that it has shut down with the signal that asked for it.
  const end = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  clearTimeout(late);
  const unsaid = says.filter((words) => !words.test(text));
  const isGood = end === 0 || (end === 'SIGTERM' && name.startsWith('nest'));
  if (!isGood || unsaid.length > 0) throw new Error(`ended with ${end}; not said: ${unsaid}\n${text}`);
}

async function startMember(folder) {
  const code = `
    import('@conclave/server/embed').then(({ startEmbedded }) => startEmbedded({ port: 0 }))
      .then((member) => console.log(member.endpoint)); process.stdin.resume(); process.stdin.on('end', () => process.exit(0));`;
  const child = spawn(process.execPath, ['--eval', code], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const endpoint = await new Promise((resolve, reject) => {
    child.stdout.once('data', (chunk) => resolve(String(chunk).trim()));
    child.once('exit', () => reject(new Error('the member did not start')));
  });
  return { endpoint, stop: () => child.stdin.end() };
}

async function tryApplication(name, folder) {
  const began = Date.now();
  create(name, folder);
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error');
  run(folder, 'npx', 'tsc', '-p', '.');
  const { test } = applications[name];
  if (test !== undefined) run(folder, 'npx', ...test);
  const member = await startMember(folder);
  try {
    await tryRunning(name, folder, member.endpoint);
  } finally {
    member.stop();
  }
  console.log(`ok     ${name} (${((Date.now() - began) / 1000).toFixed(0)} s)`);
}

const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const names = asked.length > 0 ? asked : Object.keys(applications);
const folder = mkdtempSync(join(tmpdir(), 'conclave-try-'));
for (const name of names) {
  try {
    await tryApplication(name, join(folder, name));
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAILED ${name}: ${error.message}`);
  }
}
if (options.includes('--keep')) console.log(`kept: ${folder}`);
else rmSync(folder, { recursive: true, force: true });
