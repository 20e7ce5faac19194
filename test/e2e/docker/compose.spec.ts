import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { createClient } from '@conclave/client';
import { freePorts, repositoryRoot } from '../../members/member-process.js';

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly command: readonly string[]; readonly hostname: string }>
  >;
}

const folder = join(repositoryRoot, 'docker');
const compose = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true }) as Compose;
const dockerfile = readFileSync(join(folder, 'Dockerfile'), 'utf8');
/** Joined lines, so that an instruction is one string. */
const instructions = dockerfile.replaceAll('\\\n', ' ').split('\n');

function argumentsOf(instruction: string): readonly string[] {
  const line = instructions.find((candidate) => candidate.trim().startsWith(instruction))!;
  return JSON.parse(line.slice(line.indexOf('['))) as readonly string[];
}

/** What the containers would run, with ports of this machine in the place of their host names and volumes. */
class LocalComposition {
  readonly directory = mkdtempSync(join(tmpdir(), 'conclave-compose-'));
  readonly children: ChildProcess[] = [];
  readonly endpoints: string[] = [];
  private readonly ports = new Map<string, readonly [client: number, peer: number]>();

  async choosePorts(): Promise<void> {
    for (const name of Object.keys(compose.services)) {
      const [client, peer] = await freePorts(2);
      this.ports.set(name, [client!, peer!]);
      this.endpoints.push(`127.0.0.1:${client}`);
    }
  }

  start(name: string): void {
    const [program, ...entry] = argumentsOf('ENTRYPOINT');
    expect(program).toBe('node');
    const flags = compose.services[name]!.command.map((flag) => this.localFlag(name, flag));
    const child = spawn(process.execPath, [...entry, ...flags], { cwd: repositoryRoot, stdio: 'ignore' });
    this.children.push(child);
  }

  private localFlag(self: string, flag: string): string {
    const [client, peer] = this.ports.get(self)!;
    let text = flag
      .replace('/var/lib/conclave', join(this.directory, self))
      .replace('http://0.0.0.0:2379', `http://127.0.0.1:${client}`)
      .replace('http://0.0.0.0:2380', `http://127.0.0.1:${peer}`);
    for (const [name, [theirClient, theirPeer]] of this.ports) {
      text = text
        .replaceAll(`http://${name}:2379`, `http://127.0.0.1:${theirClient}`)
        .replaceAll(`http://${name}:2380`, `http://127.0.0.1:${theirPeer}`);
    }
    return text;
  }

  isHealthy(endpoint: string): boolean {
    const line = instructions.find((candidate) => candidate.includes('HEALTHCHECK'))!;
    const [, ...command] = JSON.parse(line.slice(line.indexOf('['))) as string[];
    const local = command.map((word) => word.replace('127.0.0.1:2379', endpoint));
    return spawnSync(process.execPath, local, { stdio: 'ignore' }).status === 0;
  }

  async remove(): Promise<void> {
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe('the files for containers', () => {
  it('copy only what exists', () => {
    const copied = instructions
      .filter((line) => line.startsWith('COPY --from=build'))
      .map((line) => line.split(' ')[2]!.replace('/opt/conclave/', ''));
    expect(copied).toContain('bin');
    for (const path of copied) expect(existsSync(join(repositoryRoot, path)), path).toBe(true);
  });

  it('give every service its own host name, data and ports', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.hostname).toBe(name);
      expect(service.command).toContain(`--name=${name}`);
    }
  });

  describe('when their members run', () => {
    const members = new LocalComposition();

    beforeAll(async () => {
      await members.choosePorts();
      for (const name of Object.keys(compose.services)) members.start(name);
    });

    afterAll(() => members.remove());

    it('make one cluster, healthy by the health check of the image', async () => {
      const [first, , third] = members.endpoints;
      await using writer = createClient({ endpoints: [first!], requestTimeout: '30s' });
      await using reader = createClient({ endpoints: [third!], requestTimeout: '30s' });
      await writer.kv.put('k', 'v');
      expect((await reader.kv.get('k'))?.text).toBe('v');
      for (const endpoint of members.endpoints) {
        await vi.waitFor(() => expect(members.isHealthy(endpoint)).toBe(true), {
          timeout: 30_000,
          interval: 100,
        });
      }
      expect(members.isHealthy('127.0.0.1:1')).toBe(false);
    });
  });
});
