import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../../members/member-process.js';

export const packageNames = ['client', 'server'] as const;

/** A package.json, as far as the checks read it. */
export interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/**
 * What is published, unpacked in a project outside of the repository: nothing but the tarballs is ours there. Other packages
 * are those of the repository.
 */
export class PackedPackages {
  private constructor(
    /** Holds all that is made; `project` and other projects stand beside each other, so that none sees the packages of another. */
    private readonly root: string,
    readonly project: string,
  ) {}

  /** Runs scripts/pack.mjs and unpacks what it made. */
  static create(): PackedPackages {
    const root = mkdtempSync(join(tmpdir(), 'conclave-packages-'));
    const project = join(root, 'project');
    const modules = join(project, 'node_modules');
    mkdirSync(join(modules, '@conclave'), { recursive: true });
    for (const name of readdirSync(join(repositoryRoot, 'node_modules'))) {
      if (name.startsWith('.') || name === '@conclave') continue;
      symlinkSync(join(repositoryRoot, 'node_modules', name), join(modules, name));
    }
    const packs = join(project, 'packs');
    execFileSync(process.execPath, ['scripts/pack.mjs', `--out=${packs}`], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const packed = new PackedPackages(root, project);
    for (const name of packageNames) {
      const unpacked = join(project, name);
      mkdirSync(unpacked);
      execFileSync('tar', ['-xzf', packed.tarball(name), '-C', unpacked]);
      renameSync(join(unpacked, 'package'), packed.folder(name));
    }
    return packed;
  }

  /** Where `scripts/pack.mjs` put them. */
  get out(): string {
    return join(this.project, 'packs');
  }

  folder(name: string): string {
    return join(this.project, 'node_modules/@conclave', name);
  }

  tarball(name: string): string {
    const { version } = JSON.parse(readFileSync(join(this.out, name, 'package.json'), 'utf8')) as Manifest;
    return join(this.out, `conclave-${name}-${version}.tgz`);
  }

  manifest(name: string): Manifest {
    return JSON.parse(readFileSync(join(this.folder(name), 'package.json'), 'utf8')) as Manifest;
  }

  /** Path in the package → text, of every file that is not binary. */
  files(name: string): ReadonlyMap<string, string> {
    const folder = this.folder(name);
    const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
  }

  /** Runs a module in a project and gives back the JSON that it prints. */
  run(type: 'module' | 'commonjs', code: string, project = this.project): unknown {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`--input-type=${type}`, '--eval', code], {
      cwd: project,
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (status !== 0) throw new Error(`exit code ${status}\n${stdout}\n${stderr}`);
    return JSON.parse(stdout);
  }

  /** A project in which, beside a copy of the client, only these packages are there. */
  projectWith(name: string, ...others: readonly string[]): string {
    const project = join(this.root, name);
    const modules = join(project, 'node_modules');
    mkdirSync(join(modules, '@conclave'), { recursive: true });
    cpSync(this.folder('client'), join(modules, '@conclave/client'), { recursive: true });
    for (const other of others)
      symlinkSync(join(repositoryRoot, 'node_modules', other), join(modules, other));
    return project;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
