// What the packages have in common: how their code is bundled, and how the package of an import is told.
import { rolldown } from 'rolldown';

/** `@nestjs/common` of `@nestjs/common/enums`. */
export const packageOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/**
 * Bundles entries with what they share in files of their own, so that each class exists once, however many entries are loaded.
 *
 * @param options.input name of each entry → source file
 * @param options.format `esm` (`.js`) or `cjs` (`.cjs`)
 * @param options.external what stays an import
 * @returns the names of the packages that are still imported, loaded late ones included
 */
export async function bundle({ input, format, external, dir }) {
  const extension = format === 'esm' ? 'js' : 'cjs';
  const build = await rolldown({
    input,
    platform: 'node',
    external,
    resolve: { conditionNames: ['conclave-source', 'node', 'import'] },
    tsconfig: false,
    // As the tests transform the sources.
    transform: { target: 'node20.19', decorator: { legacy: true, emitDecoratorMetadata: true } },
    plugins: format === 'cjs' ? [plainRequire] : [],
    onLog(level, log, handle) {
      if (level === 'warn') throw new Error(`bundling ${format}: ${log.message}`);
      handle(level, log);
    },
  });
  const { output } = await build.write({
    dir,
    format,
    exports: 'named',
    // Errors are named after their classes.
    keepNames: true,
    sourcemap: true,
    // From somebody's node_modules there is no way to the sources; they are in the map.
    sourcemapPathTransform: (path) => path.replace(/^(?:\.\.\/)+/, 'conclave/'),
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name]-[hash].${extension}`,
  });
  await build.close();
  const files = new Set(output.map(({ fileName }) => fileName));
  const imports = output.flatMap((file) =>
    file.type === 'chunk' ? [...file.imports, ...file.dynamicImports] : [],
  );
  const packages = imports.filter((name) => !files.has(name) && !name.startsWith('node:')).map(packageOf);
  return [...new Set(packages)].sort();
}

/** What loads optional packages late is `require` itself in CommonJS, as test runners and bundlers know it. */
const plainRequire = {
  name: 'plain-require',
  transform: {
    filter: { code: /createRequire\(import\.meta\.url\)/ },
    // Lines stay where they were.
    handler: (code) => ({ code: code.replaceAll('createRequire(import.meta.url)', 'require'), map: null }),
  },
};
