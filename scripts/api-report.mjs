// The public API of the SDK as text, one file per entry point, so that a review sees each change of it:
//   node scripts/api-report.mjs           writes libs/client/api/*.api.md
//   node scripts/api-report.mjs --check   fails when one of them is not what the packed declarations say
// Reads the packed package (scripts/pack.mjs --out=<folder>; the same option here).
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const packages = resolve(
  process.argv.find((argument) => argument.startsWith('--out='))?.slice('--out='.length) ?? 'dist/packages',
);
const isCheck = process.argv.includes('--check');
const folder = join(packages, 'client');
if (!existsSync(folder)) {
  console.error('The package is not there yet; run `npm run pack` first.');
  process.exit(1);
}

/** Declared entry points and their declarations. */
function entries() {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return Object.entries(exports)
    .filter(([, target]) => target.import !== undefined)
    .map(([name, target]) => [name === '.' ? 'client' : name.slice(2), join(folder, target.import.types)]);
}

/** Only what somebody who uses the package meets: warnings of the tool about style are not it. */
function configOf(name, declarations, temporary) {
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, 'package.json'),
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            module: 'nodenext',
            target: 'ES2022',
            lib: ['ES2023'],
            types: ['node'],
            strict: true,
            skipLibCheck: true,
          },
          files: [declarations],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: name.replace('/', '-'),
        reportFolder: resolve('libs/client/api'),
        reportTempFolder: temporary,
        includeForgottenExports: false,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: { default: { logLevel: 'none' } },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  });
}

const temporary = mkdtempSync(join(tmpdir(), 'conclave-api-'));
// What the declarations import is found from where they are.
const modules = join(packages, 'node_modules');
if (!existsSync(modules)) symlinkSync(resolve('node_modules'), modules);
const changed = [];
try {
  for (const [name, declarations] of entries()) {
    const { apiReportChanged, errorCount } = Extractor.invoke(configOf(name, declarations, temporary), {
      localBuild: !isCheck,
      messageCallback: (message) => {
        if (message.logLevel === 'error') console.error(`${name}: ${message.text}`);
        message.handled = true;
      },
    });
    if (errorCount > 0) process.exitCode = 1;
    if (apiReportChanged) changed.push(`libs/client/api/${name.replace('/', '-')}.api.md`);
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
if (changed.length > 0) {
  console.log(
    isCheck ? `not up to date: ${changed.join(', ')}; run \`npm run api\`` : `written: ${changed.join(', ')}`,
  );
  if (isCheck) process.exitCode = 1;
}
