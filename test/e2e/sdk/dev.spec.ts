import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configClass, type ConfigRef, createClient } from '@conclave/client';
import { filter, firstValueFrom } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../members/member-process.js';

interface Billing {
  readonly retryMax: number;
}
const Billing = configClass<Billing>({
  name: 'Billing',
  namespace: 'billing',
  properties: { retryMax: { path: 'retry.max', default: 0 } },
  validate: (values) => ({ value: values as unknown as Billing }),
});

/** `conclave dev` in a process of its own. */
class Dev {
  text = '';
  private heard: () => void = () => undefined;

  private constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.text += chunk.toString();
        this.heard();
      });
    }
    child.on('exit', () => this.heard());
  }

  static run(...words: string[]): Dev {
    const child = spawn(process.execPath, [join(repositoryRoot, 'bin/conclave'), 'dev', ...words]);
    return new Dev(child);
  }

  /** Resolves with the match in what was printed. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      if (this.child.exitCode !== null) throw new Error(`it ended and said: ${this.text}`);
      await new Promise<void>((resolve) => (this.heard = resolve));
    }
  }

  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    if (this.child.exitCode === null) {
      this.child.kill(signal);
      await once(this.child, 'exit');
    }
    return this.child.exitCode;
  }
}

const value = (ref: ConfigRef<Billing>, wanted: number): Promise<number> =>
  firstValueFrom(ref.select(({ retryMax }) => retryMax).pipe(filter((current) => current === wanted)));

describe('conclave dev', () => {
  const folder = mkdtempSync(join(tmpdir(), 'conclave-dev-'));
  const running: Dev[] = [];
  const run = (...words: string[]): Dev => {
    const dev = Dev.run(...words);
    running.push(dev);
    return dev;
  };
  afterEach(async () => {
    await Promise.all(running.splice(0).map((dev) => dev.end('SIGKILL')));
    rmSync(folder, { recursive: true, force: true });
  });

  it('serves a folder, publishes each save, survives mistakes and ends with Ctrl-C', async () => {
    mkdirSync(join(folder, 'shop'), { recursive: true });
    const file = join(folder, 'shop/billing.yaml');
    writeFileSync(file, 'retry:\n  max: 3\n');
    const dev = run(folder, '--port', '0');
    const [, endpoint = ''] = await dev.says(/member +(http:\S+) +\(data in memory only\)/);
    await dev.says(/published +dev\/shop\/billing +release 1 .*: 1 key\n/);
    await dev.says(/ready/);
    const client = createClient({ endpoints: [endpoint], config: { app: 'shop', cache: false } });
    const ref = await client.config.ref(Billing);
    expect(ref.value.retryMax).toBe(3);

    writeFileSync(file, 'retry:\n  max: 4\n');
    await dev.says(/release 2 .*: changed retry\.max\n/);
    expect(await value(ref, 4)).toBe(4);

    writeFileSync(file, 'retry: {max: 5\n');
    await dev.says(/mistake .*billing\.yaml:\d+:\d+: .*\(release 2 stays in force\)\n/);
    expect(ref.value.retryMax).toBe(4);

    // As editors save: a new file takes the name of the old one.
    writeFileSync(`${file}.tmp`, 'retry:\n  max: 6\n');
    renameSync(`${file}.tmp`, file);
    await dev.says(/release 3 .*: changed retry\.max\n/);
    expect(await value(ref, 6)).toBe(6);

    rmSync(file);
    await dev.says(/withdrawn +dev\/shop\/billing/);
    await client.close();
    expect(await dev.end()).toBe(0);
    expect(dev.text).toMatch(/ended\n$/);
  });

  it('tells all mistakes of its command line, and a port that is taken', async () => {
    const wrong = run(join(folder, 'none'), '--port', 'x', '--env', 'Dev');
    await once(wrong.child, 'close');
    expect(wrong.child.exitCode).toBe(2);
    expect(wrong.text).toMatch(
      /is no folder: make it[\s\S]*--port x: a port is[\s\S]*--env: 'Dev' is not a name/,
    );
    mkdirSync(folder, { recursive: true });
    const taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    const { port } = taken.address() as AddressInfo;
    const late = run(folder, '--port', String(port));
    await once(late.child, 'close');
    taken.close();
    expect(late.child.exitCode).toBe(1);
    expect(late.text).toContain(`give another --port, for example --port ${port + 1}`);
  });
});
