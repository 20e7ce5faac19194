import { Buffer } from 'node:buffer';
import type { ProtocolError } from '@conclave/protocol';
import { MemoryBackend } from '../../backend/memory-backend.js';
import { createEngine, type Engine } from '../../engine.js';
import type { EngineOptions, FoundingMember } from '../../engine-options.js';
import type { EnginePlatform } from '../../engine-storage.js';
import type { ManualClock } from '../../platform/manual-clock.js';
import { SimulatedDisk } from '../../platform/simulated-disk.js';
import { DiskModel } from '../../platform/simulated-disk-model.js';
import type { Random } from '../../platform/random.js';
import { SeededRandom } from '../../raft/testing/seeded-random.js';
import type { RequestStream } from '../../requests/method.js';
import type { TestNetwork, TestTransport } from './test-network.js';

/** Encodes requests and decodes answers: a generated message. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** The outcome of one call. */
export interface Call<T> {
  answer: T | undefined;
  /** Name of the error, or its text when etcd does not name it. */
  error: string | undefined;
  readonly isDone: boolean;
}

/** A stream of one caller. */
export interface TestStream<T> {
  readonly answers: readonly T[];
  /** Undefined while it is open, `''` when it ended without an error. */
  readonly ended: string | undefined;
  readonly requests: RequestStream;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const nothing = { add() {}, set() {}, observe() {} };

/** One member with the production engine, on a simulated disk and a store in memory that survive its restarts. */
export class TestMember {
  engine: Engine | undefined;
  transport: TestTransport | undefined;
  /** Why it stopped by itself. */
  failure: Error | undefined;
  /** How long each effect on the disk takes. */
  diskMs = 0.05;
  private disk: SimulatedDisk | undefined;
  private model = new DiskModel();
  private store: MemoryBackend | undefined;
  private starts = 0;

  constructor(
    readonly id: bigint,
    readonly peerUrl: string,
    private readonly clock: ManualClock,
    private readonly network: TestNetwork,
    private readonly overrides: Partial<EngineOptions> = {},
  ) {}

  /** @param once Options that differ in this start alone. */
  async start(foundingMembers: readonly FoundingMember[], once: Partial<EngineOptions> = {}): Promise<void> {
    this.starts++;
    this.failure = undefined;
    const disk = new SimulatedDisk({
      schedule: (_effect, callback) => this.clock.after(this.diskMs, callback),
      random: random(Number(this.id) * 100 + this.starts),
      model: this.model,
    });
    this.disk = disk;
    this.transport = this.network.attach(this.id, disk);
    const { transport } = this;
    const engine = await createEngine(
      { ...this.options(foundingMembers), ...once },
      this.platform(disk),
      transport,
    );
    this.engine = engine;
    void engine.failed.then((error) => (this.failure = error));
  }

  /** A defect of the hardware, which no checksum sees: the key's newest version is gone. */
  loseKey(key: string): void {
    this.store!.delete('head', key);
  }

  /**
   * Copies of the store that are made from now on are handed over when `release` is called.
   */
  holdCopies(): { readonly isCopied: boolean; readonly release: () => void } {
    const store = this.store!;
    const hold = { isCopied: false, release: () => {} };
    const released = new Promise<void>((resolve) => (hold.release = resolve));
    const copyTo = store.copyTo.bind(store);
    store.copyTo = async (path) => {
      const copied = await copyTo(path);
      hold.isCopied = true;
      await released;
      return copied;
    };
    return hold;
  }

  /** Makes what is applied durable. */
  flush(): Promise<void> {
    return this.store!.flush();
  }

  /** From now on the disk has room for so many bytes more, until the process ends. */
  leaveRoom(bytes: number): void {
    this.disk!.capacityBytes = this.disk!.model.usedBytes + bytes;
  }

  /** The process dies; what it wrote stays. */
  kill(): void {
    this.disk?.crash();
    if (this.disk !== undefined) this.model = this.disk.model.clone();
    if (this.transport !== undefined) this.network.detach(this.transport);
    // A dead process neither sends nor takes anything; its engine is only told so.
    void this.engine?.close().catch(() => undefined);
    this.engine = undefined;
  }

  call<Request, Response>(
    method: string,
    requests: Codec<Request>,
    request: Request,
    responses: Codec<Response>,
  ): Call<Response> {
    const path = method.startsWith('/') ? method : `/etcdserverpb.${method}`;
    const found = this.engine?.methods.get(path);
    if (found?.kind !== 'unary') throw new Error(`${method} is not a method with one answer`);
    const call = {
      answer: undefined as Response | undefined,
      error: undefined as string | undefined,
      isDone: false,
    };
    const context = { token: undefined, requireLeader: false, onCancel: undefined };
    found.call(requests.encode(request).finish(), context, (error, response) => {
      call.isDone = true;
      if (error !== undefined) call.error = nameOf(error);
      else call.answer = responses.decode(response!);
    });
    return call;
  }

  open<Response>(method: string, responses: Codec<Response>): TestStream<Response> {
    const found = this.engine?.methods.get(`/etcdserverpb.${method}`);
    if (found?.kind !== 'stream') throw new Error(`${method} is not a stream`);
    const answers: Response[] = [];
    const state = { ended: undefined as string | undefined };
    const context = { token: undefined, requireLeader: false, onCancel: undefined };
    const requests = found.open(context, {
      send: (message) => answers.push(responses.decode(Buffer.from(message))) > 0,
      end: (error) => (state.ended = error === undefined ? '' : nameOf(error)),
      onDrain: undefined,
    });
    return {
      answers,
      requests,
      get ended() {
        return state.ended;
      },
    };
  }

  private options(foundingMembers: readonly FoundingMember[]): EngineOptions {
    return {
      directory: '/data',
      name: `m${this.id}`,
      clusterId: 0xc1n,
      memberId: this.id,
      foundingMembers,
      peerUrls: [this.peerUrl],
      clientUrls: [`http://client-${this.id}`],
      heartbeatMs: 100,
      electionMs: 1_000,
      limits: { maxRequestBytes: 1_572_864, maxTxnOps: 128, quotaBackendBytes: 0, minLeaseTtlSeconds: 2 },
      autoCompaction: { mode: 'periodic', retention: 0 },
      watchProgressIntervalMs: 600_000,
      walSegmentBytes: 1 << 16,
      ...this.overrides,
    };
  }

  private platform(disk: SimulatedDisk): EnginePlatform {
    return {
      clock: this.clock,
      disk,
      random: random(Number(this.id) * 1_000 + this.starts),
      logger: silent,
      meter: {
        counter: () => nothing,
        gauge: () => nothing,
        histogram: () => nothing,
        observed() {},
        observedCounter() {},
      },
      openBackend: async (directory) => {
        if (this.starts === 1) await disk.makeDirectory(directory);
        const options = { clock: this.clock, states: { disk, directory, logger: silent } };
        // The survivor of a crash goes on with the new process's disk.
        const survivor = this.store?.crash(() => 0, options);
        this.store =
          survivor === undefined ? new MemoryBackend(options) : await MemoryBackend.recover(survivor);
        return this.store;
      },
      lockDirectory: () => Promise.resolve({ release: () => Promise.resolve() }),
    };
  }
}

function random(seed: number): Random {
  const seeded = new SeededRandom(seed);
  return {
    below: (bound) => seeded.below(bound),
    uint64: () => (BigInt(seeded.below(2 ** 32)) << 32n) | BigInt(seeded.below(2 ** 32)),
  };
}

function nameOf(error: ProtocolError): string {
  return error.reason ?? error.message;
}
