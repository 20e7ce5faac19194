import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../members/member-process.js';
import { PackedPackages } from './packed-packages.js';

/** They are installed from the registry, which takes minutes. */
describe.runIf(process.env['CONCLAVE_FULL'] === '1')('new applications outside of the repository', () => {
  let packed: PackedPackages;

  beforeAll(() => {
    packed = PackedPackages.create();
  });

  afterAll(() => packed.remove());

  it.each(['nest10', 'nest11', 'nest12', 'node-esm', 'node-cjs'])(
    'install, type-check, test and run: %s',
    (name) => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ['scripts/try-packages.mjs', `--out=${packed.out}`, name],
        { cwd: repositoryRoot, encoding: 'utf8' },
      );
      expect(status, `${stdout}${stderr}`).toBe(0);
    },
    600_000,
  );
});
