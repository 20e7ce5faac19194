import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type MemberKind = 'conclave' | 'etcd';

/** The folder that holds package.json, from sources as well as from the built tests. */
function findRoot(from: string): string {
  return existsSync(join(from, 'package-lock.json')) ? from : findRoot(dirname(from));
}

export const repositoryRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** True when the program can be started here; tests against real peers are left out otherwise. */
export function hasProgram(name: string): boolean {
  return spawnSync('which', [name], { stdio: 'ignore' }).status === 0;
}

/** A member's place in a cluster of several. */
export interface ClusterPlace {
  readonly name: string;
  /** As `--initial-cluster` has it; the member itself stands in it under its name and peer URL. */
  readonly initialCluster: string;
  readonly state: 'new' | 'existing';
  readonly clientPort: number;
  readonly peerPort: number;
  /** The port at which the others reach it, when something stands in front of `peerPort`, which is the default. */
  readonly advertisedPeerPort?: number;
  /** The address of the machine that it is on, as it were; 127.0.0.1 by default. */
  readonly host?: string;
}

export interface MemberProcessOptions {
  /** By default the member is alone. */
  readonly place?: ClusterPlace;
  /** `https` needs flags with certificates. */
  readonly peerScheme?: 'http' | 'https';
  /** `https` needs flags with certificates. */
  readonly clientScheme?: 'http' | 'https';
  /** Further flags. */
  readonly flags?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** A directory to use and keep; by default a temporary one that `remove` deletes. */
  readonly directory?: string;
  /** Options of Node itself for our own member, for example `--cpu-prof`. */
  readonly nodeArguments?: readonly string[];
  /** A program in front of the member's own command, for example strace with its arguments. */
  readonly wrapper?: readonly string[];
}

/** A member in a process of its own, on free ports of 127.0.0.1. */
export class MemberProcess {
  private child: ChildProcess | undefined;
  private text = '';

  private constructor(
    readonly kind: MemberKind,
    readonly clientPort: number,
    readonly peerPort: number,
    readonly directory: string,
    private readonly options: MemberProcessOptions,
  ) {}

  /** Chooses ports and a data directory; `start` starts it. */
  static async create(kind: MemberKind, options: MemberProcessOptions = {}): Promise<MemberProcess> {
    const { place } = options;
    const [clientPort, peerPort] =
      place === undefined ? await freePorts(2) : [place.clientPort, place.peerPort];
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), `${kind}-member-`));
    return new MemberProcess(kind, clientPort, peerPort, directory, options);
  }

  get host(): string {
    return this.options.place?.host ?? '127.0.0.1';
  }

  /** `127.0.0.1:port` */
  get address(): string {
    return `${this.host}:${this.clientPort}`;
  }

  get url(): string {
    return `${this.options.clientScheme ?? 'http'}://${this.address}`;
  }

  get peerUrl(): string {
    return `${this.options.peerScheme ?? 'http'}://${this.host}:${this.peerPort}`;
  }

  /** The peer URL that the others know. */
  get advertisedPeerUrl(): string {
    const port = this.options.place?.advertisedPeerPort ?? this.peerPort;
    return `${this.options.peerScheme ?? 'http'}://${this.host}:${port}`;
  }

  get name(): string {
    return this.options.place?.name ?? 'test';
  }

  get dataDirectory(): string {
    return join(this.directory, 'data');
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error(`the ${this.kind} member is not running`);
    return this.child.pid;
  }

  /** Everything that it printed since the last start, the end of it when that is long. */
  get output(): string {
    return this.text;
  }

  /** Resolves when it says that it serves clients; rejects with its output when it ends before. */
  async start(): Promise<void> {
    const ended = this.spawn();
    const ready = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.text.includes('ready to serve client requests')) resolve();
      };
      this.child!.stdout!.on('data', look);
      this.child!.stderr!.on('data', look);
    });
    await Promise.race([
      ready,
      ended.then((code) => {
        throw new Error(`the ${this.kind} member ended with ${code} before it was ready:\n${this.text}`);
      }),
    ]);
  }

  /** Starts it and waits for its end, for starts that must fail. Gives the exit code. */
  async startExpectingEnd(): Promise<number | string> {
    return this.spawn();
  }

  /** Sends a signal and waits for the end of the process. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** Resolves with the exit code or signal when the process ends. */
  async ended(): Promise<number | string> {
    const child = this.child;
    if (child === undefined) throw new Error('the member was never started');
    if (child.exitCode !== null) return child.exitCode;
    if (child.signalCode !== null) return child.signalCode;
    return new Promise((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')),
    );
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  private spawn(): Promise<number | string> {
    const own =
      this.kind === 'etcd'
        ? ['etcd']
        : [
            process.execPath,
            ...(this.options.nodeArguments ?? []),
            join(repositoryRoot, 'bin/conclave'),
            'server',
          ];
    const [command, ...args] = [
      ...(this.options.wrapper ?? []),
      ...own,
      ...this.flags(),
      ...(this.options.flags ?? []),
    ];
    this.text = '';
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.options.environment },
    });
    this.child = child;
    const read = (chunk: Buffer): void => {
      this.text = (this.text + chunk.toString('utf8')).slice(-200_000);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
  }

  private flags(): string[] {
    const { peerUrl, advertisedPeerUrl, name } = this;
    const { place } = this.options;
    return [
      `--name=${name}`,
      `--data-dir=${this.dataDirectory}`,
      `--listen-client-urls=${this.url}`,
      `--advertise-client-urls=${this.url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${advertisedPeerUrl}`,
      `--initial-cluster=${place?.initialCluster ?? `${name}=${advertisedPeerUrl}`}`,
      `--initial-cluster-state=${place?.state ?? 'new'}`,
    ];
  }
}

/** Below those that systems give to outgoing connections, one of which could take a port before its member listens. */
const firstPort = 12_000;
const portsOfWorker = 2_500;
/** Each of the processes that run specs at the same time has ports of its own: one that was free may be another's until its member listens. */
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % 8;
const given = new Set<number>();

/** Ports that were free a moment ago, all different, and none that was given before. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const port = firstPort + portsOfWorker * worker + Math.floor(Math.random() * portsOfWorker);
    const server = given.has(port) ? undefined : await listening(port);
    if (server === undefined) continue;
    given.add(port);
    servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

/** Undefined when somebody else listens there. */
function listening(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
