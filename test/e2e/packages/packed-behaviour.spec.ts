import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PackedPackages } from './packed-packages.js';

let packed: PackedPackages;

beforeAll(() => {
  packed = PackedPackages.create();
});

afterAll(() => packed.remove());

/** How a program in each format loads the client. */
const formats = [
  ['ES modules', 'module', `const client = await import('@conclave/client');`],
  ['CommonJS', 'commonjs', `const client = require('@conclave/client');`],
] as const;

describe.each(formats)('the plain entry point, in %s', (_, type, load) => {
  it('needs rxjs and nothing else to be there', () => {
    const project = packed.projectWith(`alone-${type}`, 'rxjs', 'tslib');
    const code = `
      const began = performance.now();
      ${load}
      console.log(JSON.stringify({ names: Object.keys(client), ms: performance.now() - began }));
    `;
    const { names, ms } = packed.run(type, code, project) as { names: string[]; ms: number };
    expect(names).toContain('createClient');
    process.stdout.write(`@conclave/client as ${type}: loaded in ${ms.toFixed(0)} ms, rxjs included\n`);
  });

  it('says what is missing where Nest is used without Nest', () => {
    const code = load.replaceAll('@conclave/client', '@conclave/client/nest');
    const project = packed.projectWith(`plain-${type}`, 'rxjs', 'tslib');
    expect(() => packed.run(type, code, project)).toThrow(/Cannot find (?:module|package) '@nestjs\/common'/);
  });

  it('loads the YAML parser with the first YAML document', () => {
    const code = `
      ${load}
      const cache = require => Object.keys(require.cache).filter((path) => path.includes('/yaml/'));
      ${type === 'module' ? `const { createRequire } = await import('node:module'); const require = createRequire(import.meta.url);` : ''}
      const pinned = () => Promise.resolve({ entries: new Map([['billing', { format: 'yaml', content: 'limit: 7' }]]), source: 'test' });
      const config = {
        app: 'shop', report: false, onWarning: () => undefined,
        cache: { load: async () => undefined, save: async () => undefined, pinned },
      };
      const main = async () => {
        const before = cache(require).length;
        const shop = client.createClient({ endpoints: ['127.0.0.1:1'], config });
        const Billing = client.configClass({ name: 'Billing', namespace: 'billing', validate: (value) => ({ value }) });
        const { value } = await shop.config.ref(Billing);
        await shop.close();
        console.log(JSON.stringify({ before, value, after: cache(require).length > 0 }));
      };
      main();
    `;
    expect(packed.run(type, code)).toEqual({ before: 0, value: { limit: 7 }, after: true });
  });
});

describe('both formats in one process', () => {
  const both = `
    import { createRequire } from 'node:module';
    import * as esm from '@conclave/client';
    const require = createRequire(import.meta.url);
    const cjs = require('@conclave/client');
  `;

  it('are two copies with the same names that know each other’s errors', () => {
    const code = `${both}
      const error = new cjs.LockTimeoutError('busy');
      console.log(JSON.stringify({
        copies: esm.createClient !== cjs.createClient,
        missing: Object.keys(esm).filter((name) => !(name in cjs)),
        known: [esm.isConclaveError(error), cjs.isConclaveError(new esm.ClosedError())],
        name: [error.name, new esm.LockTimeoutError('busy').name],
      }));
    `;
    expect(packed.run('module', code)).toEqual({
      copies: true,
      missing: [],
      known: [true, true],
      name: ['LockTimeoutError', 'LockTimeoutError'],
    });
  });

  it('know what the other one holds', () => {
    const code = `${both}
      import { startEmbedded } from '@conclave/server/embed';
      const member = await startEmbedded({ port: 0 });
      const [one, two] = [esm, cjs].map(({ createClient }) => createClient({ endpoints: [member.endpoint] }));
      const seen = await one.locks.mutex('ledger').run(async (handle) => ({
        current: cjs.currentLock('ledger') === handle,
        again: await two.locks.mutex('ledger').acquire().catch((error) => error.code),
      }));
      await Promise.all([one.close(), two.close()]);
      await member.stop();
      console.log(JSON.stringify(seen));
    `;
    expect(packed.run('module', code)).toEqual({ current: true, again: 'deadlock' });
  });

  it('read each other’s config classes', () => {
    const code = `${both}
      const pinned = () => Promise.resolve({ entries: new Map([['billing', { format: 'json', content: { limit: 7 } }]]), source: 'test' });
      const config = { app: 'shop', report: false, cache: { load: async () => undefined, save: async () => undefined, pinned } };
      const shop = esm.createClient({ endpoints: ['127.0.0.1:1'], config });
      const Billing = cjs.configClass({ name: 'Billing', namespace: 'billing', validate: (value) => ({ value }) });
      const { value } = await shop.config.ref(Billing);
      await shop.close();
      console.log(JSON.stringify(value));
    `;
    expect(packed.run('module', code)).toEqual({ limit: 7 });
  });
});

describe('@conclave/server', () => {
  it.each([
    ['ES modules', 'module', `const { startEmbedded } = await import('@conclave/server/embed');`],
    ['CommonJS', 'commonjs', `const { startEmbedded } = require('@conclave/server/embed');`],
  ] as const)('runs a member on disk inside a program, in %s', (_, type, load) => {
    const code = `
      ${load}
      const { mkdtempSync, rmSync } = ${type === 'module' ? `await import('node:fs')` : `require('node:fs')`};
      const dataDir = mkdtempSync('data-');
      const run = async () => {
        const member = await startEmbedded({ port: 0, dataDir });
        const answer = await fetch(member.endpoint + '/health');
        const text = await answer.text();
        await member.stop();
        rmSync(dataDir, { recursive: true });
        console.log(text);
      };
      run();
    `;
    expect(packed.run(type, code)).toEqual({ health: 'true', reason: '' });
  });

  it('has the program', () => {
    const code = `
      import { execFileSync } from 'node:child_process';
      const bin = 'node_modules/@conclave/server/bin/conclave';
      console.log(JSON.stringify(execFileSync(process.execPath, [bin, 'version'], { encoding: 'utf8' })));
    `;
    expect(packed.run('module', code)).toMatch(/^conclave \d+\.\d+\.\d+\netcd 3/);
  });
});
