import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The executable, looked for from this file upwards. */
function executable(from: string = dirname(fileURLToPath(import.meta.url))): string {
  const candidate = join(from, 'bin/conclave');
  return existsSync(candidate) ? candidate : executable(dirname(from));
}

/** A member in a process of its own, on free ports, with a temporary data directory. */
export class Member {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  /** Resolves when it serves clients. @throws Error with its output when it ends before that. */
  static async start(): Promise<Member> {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-demo-'));
    const url = `http://127.0.0.1:${await freePort()}`;
    const peerUrl = `http://127.0.0.1:${await freePort()}`;
    const flags = [
      '--name=demo',
      `--data-dir=${join(directory, 'data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=demo=${peerUrl}`,
    ];
    const child = spawn(process.execPath, [executable(), 'server', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await new Promise<void>((ready, failed) => {
      let text = '';
      const read = (chunk: Buffer): void => {
        text = (text + chunk.toString('utf8')).slice(-20_000);
        if (text.includes('ready to serve client requests')) ready();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', (code) => failed(new Error(`the member ended with ${code}:\n${text}`)));
    });
    return new Member(url, child, directory);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}
