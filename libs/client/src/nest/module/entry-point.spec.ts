import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The imports of the files below a folder of the SDK that stay when types are gone, with their files. */
function importsOf(folder: string, except: (path: string) => boolean): [file: string, imported: string][] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts') && !except(path))
    .flatMap((path) => {
      const statements = readFileSync(join(root, path), 'utf8').matchAll(
        /^(?:import|export) (?!type )(?:[^;]*?from )?'([^']+)';/gm,
      );
      return [...statements].map((match): [string, string] => [path, match[1] ?? '']);
    });
}

describe('the entry points', () => {
  it('@conclave/client/nest loads no package that only some applications have', () => {
    const all = importsOf('nest', (path) => path.includes('/testing/'));
    const packages = new Set(all.map(([, name]) => name).filter((name) => !name.startsWith('.')));
    expect(packages.has('@nestjs/common')).toBe(true);
    const allowed = ['@nestjs/common', '@nestjs/core', '@conclave/config-model', 'rxjs'];
    const others = [...packages].filter((name) => !allowed.includes(name) && !name.startsWith('node:'));
    expect(others).toEqual([]);
  });

  it('@conclave/client imports nothing of nest', () => {
    const all = importsOf('.', (path) => path.startsWith('nest/') || path.startsWith('testing/'));
    expect(all.length).toBeGreaterThan(100);
    expect(all.filter(([, name]) => name.includes('/nest/') || name.startsWith('@nestjs/'))).toEqual([]);
  });
});
