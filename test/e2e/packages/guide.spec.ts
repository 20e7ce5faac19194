import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemberProcess, repositoryRoot } from '../../members/member-process.js';
import { PackedPackages } from './packed-packages.js';

/** The programs of the guide, each with its chapter. */
function programs(): [chapter: string, code: string][] {
  const guide = readFileSync(join(repositoryRoot, 'docs/sdk.md'), 'utf8');
  return guide.split(/^## /m).flatMap((part): [string, string][] => {
    const [chapter = ''] = part.split('\n');
    return [...part.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => [chapter, code]);
  });
}

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  strict: true,
  skipLibCheck: true,
};

let packed: PackedPackages;
let member: MemberProcess;
let folder: string;

beforeAll(async () => {
  packed = PackedPackages.create();
  folder = join(packed.project, 'guide');
  mkdirSync(folder);
  member = await MemberProcess.create('conclave');
  await member.start();
});

afterAll(async () => {
  await member.remove();
  packed.remove();
});

describe('the guide', () => {
  it('has a program in every chapter that is about doing something', () => {
    expect(programs().map(([chapter]) => chapter)).toEqual([
      'Connect',
      'Configuration',
      'Watch',
      'Locks',
      'Fencing',
      'Elections',
      'Services, topics, schedules',
      'Testing',
    ]);
  });

  it('has programs that type-check under strict', () => {
    const files = programs().map(([, code], at) => {
      const file = join(folder, `${at}.mts`);
      writeFileSync(file, code);
      return file;
    });
    const found = ts.getPreEmitDiagnostics(ts.createProgram(files, { ...options, noEmit: true }));
    const messages = found.map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
    expect(messages).toEqual([]);
  });

  it.each(programs())('has a program that runs to its end: %s', (chapter, code) => {
    const here = code.replace('127.0.0.1:2379', member.address);
    const { outputText } = ts.transpileModule(here, { compilerOptions: options, fileName: 'program.mts' });
    const file = join(folder, `${chapter.replaceAll(/\W+/g, '-')}.mjs`);
    writeFileSync(file, outputText);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toBe('');
  });
});
