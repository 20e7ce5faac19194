import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemberProcess, repositoryRoot } from '../../members/member-process.js';

/** A program of examples/, as `npm run example` runs it. */
class Example {
  private text = '';
  readonly ended: Promise<number | string>;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk) => (this.text += String(chunk)));
    child.stderr?.on('data', (chunk) => (this.text += String(chunk)));
    this.ended = new Promise((resolve) =>
      child.on('close', (code, signal) => resolve(signal ?? code ?? 'unknown')),
    );
  }

  static start(name: string, endpoint: string): Example {
    return new Example(
      spawn(process.execPath, [join('examples/dist', name, 'src/main.js')], {
        cwd: repositoryRoot,
        env: { ...process.env, CONCLAVE_ENDPOINTS: endpoint, NO_COLOR: '1' },
      }),
    );
  }

  get output(): string {
    return this.text;
  }

  /** Resolves when it has said all of this; rejects with what it said when it ends before. */
  async says(...words: readonly RegExp[]): Promise<void> {
    const ended = this.ended.then((end) => {
      if (!this.hasSaid(words)) throw new Error(`ended with ${end}:\n${this.text}`);
    });
    const said = new Promise<void>((resolve) => {
      const look = (): void => void (this.hasSaid(words) && resolve());
      look();
      this.child.stdout?.on('data', look);
    });
    await Promise.race([said, ended]);
  }

  async stop(): Promise<number | string> {
    this.child.kill('SIGTERM');
    return this.ended;
  }

  private hasSaid(words: readonly RegExp[]): boolean {
    return words.every((each) => each.test(this.text));
  }
}

let member: MemberProcess;

beforeAll(async () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-b', 'examples'],
    { cwd: repositoryRoot, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stdout);
  member = await MemberProcess.create('conclave');
  await member.start();
}, 240_000);

afterAll(() => member.remove());

describe.runIf(process.env['CONCLAVE_FULL'] === '1')('the examples', () => {
  it('nest-app follows its configuration, pays under a lock, reports in one instance, and ends in good order', async () => {
    const example = Example.start('nest-app', member.address);
    await example.says(/paid invoice 2026-2 under token/, /retries: /, /invoices paid/);
    expect(await example.stop()).toBe('SIGTERM');
  });

  it('nest-app has unit tests that pass', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--root', 'examples/nest-app'],
      { cwd: repositoryRoot, encoding: 'utf8' },
    );
    expect(status, `${stdout}${stderr}`).toBe(0);
  });

  it('node-worker hands over to another instance', async () => {
    const one = Example.start('node-worker', member.address);
    await one.says(/leads, term/, /paid up to/);
    const two = Example.start('node-worker', member.address);
    await two.says(/paid up to/);
    expect(two.output).not.toMatch(/leads, term/);
    expect(await one.stop()).toBe(0);
    expect(one.output).toMatch(/leadership resigned/);
    await two.says(/leads, term/);
    expect(await two.stop()).toBe(0);
  });

  it('from-etcd3 has the same results with both clients', async () => {
    const example = Example.start('from-etcd3', member.address);
    expect(await example.ended, example.output).toBe(0);
    expect(example.output).toContain('the same results with both');
  });
});
