import {
  createMemoryPipePair,
  GrpcServer,
  type GrpcServerOptions,
  nodeRuntime,
  type Pipe,
  type ServerStats,
} from '@conclave/grpc';
import { createEngine, type Engine } from '../engine/engine.js';
import { NoPeers, type PeerTransport } from '../engine/replica/peer-transport.js';
import { serverVersion } from '../engine/requests/version.js';
import { bindMethods } from '../grpc-api/bind-methods.js';
import { AccessPolicy } from '../http-api/access-policy.js';
import { HttpFront } from '../http-api/http-front.js';
import { bridgeHttp2 } from '../http-api/http2-bridge.js';
import { type ServerLogger } from '../logging/server-logger.js';
import { clientVersionHeader, observeGrpcDurations, registerGrpcMetrics } from '../metrics/grpc-metrics.js';
import { registerEventLoopDelay, registerProcessMetrics } from '../metrics/process-metrics.js';
import { registerQuantiles } from '../metrics/quantiles.js';
import { type MetricRegistry } from '../metrics/registry.js';
import { registerServerMetrics } from '../metrics/server-metrics.js';
import { exposedUrls } from '../options/exposure.js';
import { isLoopback } from '../options/listen-url.js';
import { type ServerOptions } from '../options/server-options.js';
import { defaultLimits } from '../peer/peer-context.js';
import { GrpcPeerTransport } from '../peer/grpc-peer-transport.js';
import { ClientPorts } from './client-ports.js';
import { engineOptionsOf, memberDirectory } from './engine-settings.js';
import { loadHttpApplication, type LoadedApplication } from './http-loading.js';
import { type MemberHome, openDiskHome, type OpenHome } from './member-home.js';
import { type NodePlatform } from './node-platform.js';
import { listMembers, viewMembers } from './own-members.js';
import { PeerPorts } from './peer-ports.js';
import { readClientTls } from './tls-files.js';

/** What a server is given beside its options. */
export interface ServerParts {
  readonly logger: ServerLogger;
  readonly registry: MetricRegistry;
  /** Default: the data directory on the disks of this machine. */
  readonly openHome?: OpenHome;
}

/** gRPC takes messages a little larger than the largest request, so that the limit itself answers with etcd's error. */
const messageSlackBytes = 512 * 1024;
/** How long requests in flight may take once the server stops. */
const drainGraceMs = 5_000;

/** How long the last answers over HTTP may take to leave. */
const answerGraceMs = 500;

/** A running member with its ports. */
export interface Server {
  /** Client URLs as bound. */
  readonly clientUrls: readonly string[];
  /** Resolves when clients are served; rejects when the server was stopped before. */
  readonly ready: Promise<void>;
  /** Resolves with the cause when the member cannot go on. */
  readonly failed: Promise<Error>;
  reloadTls(): void;
  /** A connection from within this process: the client's end. gRPC only. */
  connect(): Pipe;
  /** Answers what is in flight, closes streams, writes everything to disk and releases all ports. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a member: ports are bound, the member learns who it is, the engine recovers its state, gRPC serves, and Nest
 * is loaded last.
 *
 * @throws ListenError when an address cannot be listened on, MembershipError when the cluster does not expect this member, and the
 * engine's errors when the data directory cannot be used.
 */
export async function startServer(options: ServerOptions, parts: ServerParts): Promise<Server> {
  const { logger, registry } = parts;
  const front = new HttpFront(accessPolicyOf(options));
  const opened: { close(): Promise<void> }[] = [];
  try {
    const ports = await ClientPorts.open(options, front, logger);
    opened.push(ports);
    const peerPorts = await PeerPorts.open(options, logger);
    opened.push(peerPorts);
    const home = await (parts.openHome ?? openDiskHome)(options, { logger, registry });
    const { platform } = home;
    opened.push(platform);
    const transport = await openTransport(options, parts, home, peerPorts.isListening);
    opened.push(transport);
    const engineOptions = engineOptionsOf(options, home.membership, ports.advertisedUrls);
    const engine = await createEngine({ ...engineOptions, ...home.storage }, platform, transport);
    if (transport instanceof GrpcPeerTransport) servePeers(peerPorts, transport, engine);
    return new RunningServer(options, parts, front, { client: ports, peer: peerPorts }, platform, engine);
  } catch (error) {
    for (const each of opened.reverse()) await each.close();
    throw error;
  }
}

async function openTransport(
  options: ServerOptions,
  { logger, registry }: ServerParts,
  { platform: { disk, random }, membership: { identity, others } }: MemberHome,
  isListening: boolean,
): Promise<PeerTransport> {
  // Without a peer port nobody could answer, nor be added.
  if (!isListening) return new NoPeers();
  const { clusterId, memberId } = identity;
  return GrpcPeerTransport.open({
    runtime: nodeRuntime,
    disk,
    random,
    logger,
    meter: registry,
    clusterId,
    memberId,
    peerUrls: options.initialAdvertisePeerUrls.map(({ text }) => text),
    acquaintances: others,
    spoolDirectory: `${memberDirectory(options.dataDir)}/incoming`,
    tls: () => readClientTls(options.peerTls),
    limits: { receiveBytesMax: defaultLimits.receiveBytesMax + 2 * options.maxRequestBytes },
    onDefect: throwDefect,
  });
}

function servePeers(ports: PeerPorts, transport: GrpcPeerTransport, engine: Engine): void {
  transport.listMembers = () => listMembers(engine);
  ports.serve({
    serve: (pipe, head) => transport.serve(pipe, head),
    members: () => viewMembers(engine),
  });
}

function accessPolicyOf(options: ServerOptions): AccessPolicy {
  const urls = [...options.listenClientUrls, ...options.listenClientHttpUrls, ...options.advertiseClientUrls];
  return new AccessPolicy({
    cors: options.cors,
    hostWhitelist: options.hostWhitelist,
    ownHosts: urls.map(({ host }) => host),
    isLoopbackOnly: exposedUrls(options).length === 0,
  });
}

class RunningServer implements Server {
  readonly ready: Promise<void>;
  readonly failed: Promise<Error>;
  readonly #grpc: GrpcServer;
  readonly #stopMeasuring: () => void;
  readonly #application: LoadedApplication | undefined;
  #stopping: Promise<void> | undefined;

  constructor(
    private readonly options: ServerOptions,
    private readonly parts: ServerParts,
    private readonly front: HttpFront,
    private readonly ports: { readonly client: ClientPorts; readonly peer: PeerPorts },
    private readonly platform: NodePlatform,
    private readonly engine: Engine,
  ) {
    this.#grpc = new GrpcServer(this.#grpcOptions());
    bindMethods(this.#grpc, engine.methods);
    this.#stopMeasuring = this.#registerMetrics();
    ports.client.serve((pipe, head) => this.#grpc.serve(pipe, head));
    this.failed = engine.failed;
    this.ready = engine.ready.then(() => this.#announce());
    this.ready.catch(() => undefined);
    if (ports.client.isListening) this.#application = loadHttpApplication(engine, front, options, parts);
  }

  get clientUrls(): readonly string[] {
    return this.ports.client.clientUrls;
  }

  connect(): Pipe {
    const [client, server] = createMemoryPipePair(nodeRuntime);
    this.#grpc.serve(server);
    return client;
  }

  reloadTls(): void {
    this.ports.client.reloadTls();
    this.ports.peer.reloadTls();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown();
    return this.#stopping;
  }

  async #shutDown(): Promise<void> {
    const { logger } = this.parts;
    logger.info('stopping: no new connections, finishing requests in flight');
    // The ports are free at once; the promise resolves when the last connection is closed, too.
    const portsClosed = this.ports.client.close();
    this.front.drain();
    const drained = this.#grpc.drain(drainGraceMs + 1_000);
    await this.engine.drain();
    await this.#unaryCallsDone();
    await this.#application?.close();
    await this.engine.close();
    await this.ports.peer.close();
    await this.#grpc.close();
    await drained;
    await this.front.close(answerGraceMs);
    await portsClosed;
    await this.platform.close();
    this.#stopMeasuring();
    logger.info('stopped');
  }

  /** Streams end with the engine; calls with one answer get it first, within a bound. */
  async #unaryCallsDone(): Promise<void> {
    const { clock } = this.platform;
    const deadline = clock.now() + drainGraceMs;
    while (unaryCallsInFlight(this.#grpc.stats) > 0 && clock.now() < deadline) {
      await new Promise<void>((resolve) => void clock.after(5, resolve));
    }
  }

  #grpcOptions(): GrpcServerOptions {
    const { options, parts } = this;
    const orNever = (milliseconds: number): number =>
      milliseconds === 0 ? Number.POSITIVE_INFINITY : milliseconds;
    return {
      maxReceiveBytes: options.maxRequestBytes + messageSlackBytes,
      maxConcurrentStreams: options.maxConcurrentStreams,
      keepaliveIntervalMs: orNever(options.grpcKeepaliveInterval),
      keepaliveTimeoutMs: orNever(options.grpcKeepaliveTimeout),
      minPingIntervalMs: options.grpcKeepaliveMinTime,
      onHttp2Request: (exchange) => bridgeHttp2(exchange, this.front),
      onDefect: (error, where) => throwDefect(error, where),
      countCallsBy: clientVersionHeader,
      ...(options.metrics === 'extensive' ? { onHandled: observeGrpcDurations(parts.registry) } : {}),
    };
  }

  #registerMetrics(): () => void {
    const { registry } = this.parts;
    const { state } = this.engine;
    registerGrpcMetrics(registry, () => this.#grpc.stats);
    registerQuantiles(registry);
    registerServerMetrics(registry, {
      memberId: state.memberId,
      serverVersion,
      clusterVersion: () => state.clusterVersion(),
      raisedAlarms: () => state.raisedAlarms(),
    });
    registerProcessMetrics(registry, (this.platform.clock.wall() - this.platform.clock.now()) / 1_000);
    return registerEventLoopDelay(registry);
  }

  /** The lines that supervisors and scripts wait for, in etcd's words and order. */
  #announce(): void {
    const { logger } = this.parts;
    const { state } = this.engine;
    const clientUrls = this.ports.client.advertisedUrls;
    logger.info('published local member to cluster through raft', {
      'local-member-id': state.memberId.toString(16),
      'local-member-attributes': `{Name:${this.options.name} ClientURLs:[${clientUrls.join(' ')}]}`,
      'cluster-id': state.clusterId.toString(16),
    });
    logger.info('ready to serve client requests', { 'client-urls': this.clientUrls });
    logger.info('enabled capabilities for version', {
      'cluster-version': (state.clusterVersion() ?? '').replace(/\.\d+$/, ''),
    });
    for (const url of this.options.listenClientUrls) {
      const message = 'serving client traffic insecurely; this is strongly discouraged!';
      if (url.scheme === 'http' && !isLoopback(url.host))
        logger.warn(message, { address: `${url.host}:${url.port}` });
    }
  }
}

/** A method that throws has broken an invariant: the member stops, with the cause, rather than go on (see main.ts). */
function throwDefect(error: unknown, where: string): void {
  queueMicrotask(() => {
    throw new Error(`defect in ${where}`, { cause: error });
  });
}

function unaryCallsInFlight(stats: ServerStats): number {
  let inFlight = 0;
  for (const { kind, started, handledByCode } of stats.methods.values()) {
    if (kind === 'unary') inFlight += started - handledByCode.reduce((sum, count) => sum + count, 0);
  }
  return inFlight;
}
