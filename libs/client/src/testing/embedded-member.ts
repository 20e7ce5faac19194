import { createMemoryPipePair, nodeRuntime, type Pipe } from '@conclave/grpc';
import { type ClientOptions, type ConclaveClient, createClient } from '../client.js';
import { InvalidArgumentError } from '../errors.js';
import { grpcTransportOver } from '../grpc-transport.js';
import { type LeaseId } from '../kv/entry.js';
import { type TransportFactory } from '../transport.js';
import {
  loadServerPackage,
  type RunningServer,
  type ServerOptions,
  type ServerPackage,
} from './server-package.js';

export interface EmbeddedOptions {
  /** A directory keeps the data, so that a later member goes on with it. Default: in memory. */
  readonly directory?: string;
  /** Listen on 127.0.0.1 for other processes too: a port, or 0 for any free one. Default: no port at all. */
  readonly port?: number;
  /** Options of `conclave server` as texts of its command line: `{ maxTxnOps: '64' }`. */
  readonly options?: Readonly<Record<string, string>>;
}

/**
 * A real member in this process: the production server with its log, its store and its gRPC, which clients reach without a
 * socket. It is a cluster of one; several may run in one process. Its time is the machine's: to move time, to lose single
 * answers or to change the leader take `fakeConclave`.
 */
export interface EmbeddedMember extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` when a port was asked for. */
  readonly address: string | undefined;
  /** Options with which {@link createClient}, or ConclaveModule.forRoot, connects to this member. */
  readonly connection: Pick<ClientOptions, 'endpoints'> & { readonly transport: TransportFactory };
  /** A further client; it is closed with the member. */
  client(options?: Omit<ClientOptions, 'endpoints' | 'transport'>): ConclaveClient;
  /** Takes the lease away with its keys, as when its time is over. @throws ConclaveError `lease-not-found`. */
  expireLease(id: LeaseId): Promise<void>;
  /** Forgets history before this revision; default: the newest. @throws CompactedError, ConclaveError `future-revision`. */
  compact(revision?: bigint): Promise<void>;
  /** Connections of clients in this process break, and new ones are refused, until {@link heal}. */
  cutConnections(): void;
  heal(): void;
  /**
   * Starts anew with nothing, as another cluster: what happens to clients when a store was wiped or restored elsewhere. A
   * directory is emptied by hand; here it is refused.
   */
  replaceStore(): Promise<void>;
  /** Closes the clients and stops the member. Nothing is left running. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a member for a test; a fraction of a second. `@conclave/server` must be installed.
 *
 * ```ts
 * await using member = await startEmbedded();
 * const client = member.client();
 * ```
 *
 * @throws InvalidArgumentError when `@conclave/server` is not installed; the server's errors when an option is wrong, or the
 * port or the directory cannot be used.
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedMember> {
  const server = await loadServerPackage();
  return new InProcessMember(server, options, await server.startEmbedded(serverOptions(options)));
}

function serverOptions({ directory, port, options }: EmbeddedOptions): ServerOptions {
  return {
    ...(directory === undefined ? {} : { dataDir: directory }),
    ...(port === undefined ? {} : { port }),
    ...(options === undefined ? {} : { options }),
  };
}

/** A name; connections inside the process go to whichever server runs. */
const endpoint = 'embedded:2379';

/** Invariant: `pipes` holds every connection of a client that may be open, and none while `isCut`. */
class InProcessMember implements EmbeddedMember {
  readonly connection: EmbeddedMember['connection'];
  private readonly clients = new Set<ConclaveClient>();
  private readonly pipes = new Set<Pipe>();
  private isCut = false;
  private stopping: Promise<void> | undefined;

  constructor(
    private readonly server: ServerPackage,
    private readonly options: EmbeddedOptions,
    private running: RunningServer,
  ) {
    const transport = grpcTransportOver({ ...nodeRuntime, connect: () => this.connect() });
    this.connection = { endpoints: [endpoint], transport };
  }

  get address(): string | undefined {
    return this.running.endpoint;
  }

  client(options: Omit<ClientOptions, 'endpoints' | 'transport'> = {}): ConclaveClient {
    const client = createClient({ ...options, ...this.connection });
    this.clients.add(client);
    return client;
  }

  async expireLease(id: LeaseId): Promise<void> {
    await this.administer((client) => client.leases.revoke(id));
  }

  async compact(revision?: bigint): Promise<void> {
    await this.administer(async ({ kv, store }) => {
      const upTo = revision ?? (await kv.range('a', { countOnly: true })).revision;
      await store.compact({ revision: upTo, physical: true });
    });
  }

  cutConnections(): void {
    this.isCut = true;
    for (const pipe of this.pipes) pipe.destroy(new Error('the test cut the connection'));
    this.pipes.clear();
  }

  heal(): void {
    this.isCut = false;
  }

  async replaceStore(): Promise<void> {
    if (this.options.directory !== undefined) {
      throw new InvalidArgumentError(
        `the store in ${this.options.directory} is not replaced, because its data would be lost: stop the member, empty the directory and start it again`,
      );
    }
    const { address } = this;
    const port = address === undefined ? {} : { port: Number(new URL(address).port) };
    await this.running.stop();
    this.running = await this.server.startEmbedded({ ...serverOptions(this.options), ...port });
  }

  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async end(): Promise<void> {
    // A client that is cut off could not give back what it holds, and would wait for that.
    this.heal();
    await Promise.all([...this.clients].map((client) => client.close()));
    await this.running.stop();
  }

  /** As an operator on a way of its own, which is never cut. */
  private async administer(work: (client: ConclaveClient) => Promise<void>): Promise<void> {
    const transport = grpcTransportOver({ ...nodeRuntime, connect: () => this.running.connect() });
    const client = createClient({ endpoints: [endpoint], transport });
    try {
      await work(client);
    } finally {
      await client.close();
    }
  }

  private connect(): Pipe {
    if (this.isCut) return refused();
    const pipe = this.running.connect();
    this.pipes.add(pipe);
    return pipe;
  }
}

/** A connection that fails as one to a port where nobody listens. */
function refused(): Pipe {
  const [client] = createMemoryPipePair(nodeRuntime);
  client.destroy(new Error('connection refused: the test cut the connections'));
  return client;
}
