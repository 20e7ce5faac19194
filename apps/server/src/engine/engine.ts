import { etcdserverpb } from '@conclave/protocol';
import { CommandKind, Proposer } from './apply/command.js';
import { StateMachine } from './apply/state-machine.js';
import type { EngineOptions } from './engine-options.js';
import { Lessor } from './lease/lessor.js';
import { MvccStore } from './mvcc/mvcc-store.js';
import { observeEngine } from './engine-metrics.js';
import { openStorage, type EnginePlatform, type Storage } from './engine-storage.js';
import { RawNode } from './raft/raw-node.js';
import { AutoCompaction } from './replica/auto-compaction.js';
import { Compactor } from './replica/compactor.js';
import { LeaseExpiry } from './replica/lease-expiry.js';
import type { PeerTransport } from './replica/peer-transport.js';
import { Replica } from './replica/replica.js';
import type { MethodTable } from './requests/method.js';
import { createMethods } from './requests/methods.js';
import type { RequestParts } from './requests/request-parts.js';
import { ResponseHeader } from './requests/response-header.js';
import { SpaceQuota } from './requests/space-quota.js';
import { clusterVersion, storageVersion } from './requests/version.js';
import { WatchHub } from './watch/watch-hub.js';

/** Kinds of alarms, as health answers name them. */
export type AlarmName = 'NOSPACE' | 'CORRUPT';

/** What a running member says of itself, from memory and at once. */
export interface EngineState {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** 0n while no leader is known. */
  leader(): bigint;
  isLearner(): boolean;
  alarms(): readonly AlarmName[];
  /** Undefined until the cluster has agreed on one. */
  clusterVersion(): string | undefined;
  storageVersion(): string | undefined;
}

/** A running member. */
export interface Engine {
  readonly methods: MethodTable;
  readonly state: EngineState;
  /** Resolves when clients can be served: a leader is known and this member's name and URLs are published. */
  readonly ready: Promise<void>;
  /** Resolves with the cause when the member cannot go on; the process must end then. */
  readonly failed: Promise<Error>;
  /** Hands over leadership, as far as there is somebody to take it, and refuses new requests. */
  drain(): Promise<void>;
  /** Ends streams, writes what is applied to the file, closes everything. Idempotent. */
  close(): Promise<void>;
}

/** 5 seconds and two election timeouts, as etcd waits for a proposal. */
function requestTimeoutMs(options: EngineOptions): number {
  return 5_000 + 2 * options.electionMs;
}

/**
 * The one composition root of a member, used by the server and by the simulator. Opens the storage, recovers the state,
 * replays the log behind it and starts the replica.
 *
 * @throws an error that names the file and the remedy when the directory belongs to another member, is damaged or was
 * written by a newer version. Nothing is dropped to get started.
 */
export async function createEngine(
  options: EngineOptions,
  platform: EnginePlatform,
  transport: PeerTransport,
): Promise<Engine> {
  const storage = await openStorage(options, platform);
  return new RunningEngine(options, platform, transport, storage);
}

class RunningEngine implements Engine {
  readonly methods: MethodTable;
  readonly state: EngineState;
  readonly ready: Promise<void>;
  readonly failed: Promise<Error>;
  private readonly replica: Replica;
  private readonly machine: StateMachine;
  private readonly hub: WatchHub;
  private readonly expiry: LeaseExpiry;
  private readonly autoCompaction: AutoCompaction;
  private readonly compactor: Compactor;
  private readonly quota: SpaceQuota;
  private markReady!: () => void;
  private closing: Promise<void> | undefined;
  private isPublished = false;

  constructor(
    private readonly options: EngineOptions,
    private readonly platform: EnginePlatform,
    private readonly transport: PeerTransport,
    private readonly storage: Storage,
  ) {
    const { clock, random, meter, logger } = platform;
    const { backend, wal, identity } = storage;
    const store = MvccStore.open(backend);
    const lessor = Lessor.recover(backend);
    this.machine = new StateMachine({ backend, store, lessor });
    const raft = new RawNode(raftConfig(options, platform, identity.memberId), storage.recovered);
    const proposer = new Proposer(identity.memberId, random.uint64());
    this.replica = new Replica(
      { raft, wal, machine: this.machine, backend, transport, clock, logger, proposer },
      {
        heartbeatMs: options.heartbeatMs,
        requestTimeoutMs: requestTimeoutMs(options),
        proposalBytesMax: 256 << 20,
      },
    );
    const header = new ResponseHeader(identity.clusterId, identity.memberId, () => this.replica.term);
    this.hub = new WatchHub(store, {
      clock,
      random,
      header: () => ({ ...identity, raftTerm: this.replica.term }),
      progressIntervalMs: options.watchProgressIntervalMs,
      fragmentBytes: options.limits.maxRequestBytes + (512 << 10),
    });
    this.compactor = new Compactor(store, this.machine, backend, clock);
    this.expiry = new LeaseExpiry({
      replica: this.replica,
      lessor,
      clock,
      meter,
      extendMs: options.electionMs,
    });
    this.autoCompaction = new AutoCompaction(
      { replica: this.replica, store, clock, logger },
      options.autoCompaction,
    );
    const parts: RequestParts = {
      replica: this.replica,
      machine: this.machine,
      store,
      lessor,
      hub: this.hub,
      backend,
      compactor: this.compactor,
      header,
      clock,
      random,
      limits: options.limits,
      identity,
    };
    this.quota = new SpaceQuota(parts);
    wal.onNoSpace = () => this.quota.raiseAlarm();
    this.methods = createMethods(parts, this.quota);
    this.state = this.describe();
    this.ready = new Promise((resolve) => (this.markReady = resolve));
    this.failed = new Promise((resolve) => (this.replica.onFailure = resolve));
    observeEngine(parts, meter);
    this.start();
  }

  async drain(): Promise<void> {
    // One voter has nobody to hand leadership to; requests in flight are answered before the transport closes.
    await Promise.resolve();
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private start(): void {
    this.machine.onApplied = this.platform.onApplied;
    this.machine.onChanges = (changes) => this.hub.notify(changes);
    this.machine.onCompacted = () => this.compactor.wake();
    this.hub.onWork = () => this.catchUpLater();
    this.replica.onLeadership = (term) => {
      this.expiry.leadershipChanged(term);
      this.autoCompaction.leadershipChanged(term);
      if (term === undefined) return;
      this.publish();
      // The log tells of it once, maybe before anybody leads, as on a start with a full disk: then nobody took the alarm.
      if (this.storage.wal.stats.noSpace) this.quota.raiseAlarm();
    };
    this.compactor.wake();
    this.autoCompaction.start();
    this.replica.start();
  }

  /** Watchers that lag are served in slices, one a turn, so that nobody else waits for them. */
  private catchUpLater(): void {
    this.platform.clock.defer(() => {
      if (this.closing === undefined && this.hub.runCatchUp()) this.catchUpLater();
    });
  }

  /** Tells the cluster this member's name and client URLs, and a new cluster its version. */
  private publish(): void {
    if (this.isPublished) return;
    this.isPublished = true;
    const { name, peerUrls, clientUrls } = this.options;
    const member = etcdserverpb.Member.fromPartial({
      ID: this.storage.identity.memberId,
      name,
      peerURLs: [...peerUrls],
      clientURLs: [...clientUrls],
    });
    const attributes = etcdserverpb.Member.encode(member).finish();
    this.replica.propose(CommandKind.MemberAttributes, attributes, (error) => {
      if (error !== undefined) this.isPublished = false;
      else this.agreeOnVersion();
    });
  }

  private agreeOnVersion(): void {
    if (this.machine.cluster.version !== undefined) return this.markReady();
    this.replica.propose(CommandKind.ClusterVersion, Buffer.from(clusterVersion, 'utf8'), (error) => {
      if (error !== undefined) this.isPublished = false;
      else this.markReady();
    });
  }

  private describe(): EngineState {
    const { identity } = this.storage;
    return {
      ...identity,
      leader: () => this.replica.leader,
      isLearner: () => this.replica.status.confState.learners.includes(identity.memberId),
      alarms: () => [...new Set(this.machine.cluster.alarms.map(({ alarm }) => alarmName(alarm)))],
      clusterVersion: () => this.machine.cluster.version,
      storageVersion: () => storageVersion,
    };
  }

  private async shutDown(): Promise<void> {
    this.expiry.stop();
    this.autoCompaction.stop();
    this.compactor.stop();
    this.hub.close();
    this.replica.stop();
    await this.transport.close();
    await this.storage.close();
    this.platform.logger.info('member closed');
  }
}

function alarmName(alarm: etcdserverpb.AlarmType): AlarmName {
  return alarm === etcdserverpb.AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE';
}

function raftConfig(
  options: EngineOptions,
  platform: EnginePlatform,
  id: bigint,
): ConstructorParameters<typeof RawNode>[0] {
  return {
    id,
    electionTicks: Math.max(2, Math.round(options.electionMs / options.heartbeatMs)),
    heartbeatTicks: 1,
    random: platform.random,
    maxInflightMessages: 512,
    maxInflightBytes: 64 << 20,
    maxMessageBytes: 1 << 20,
    maxUncommittedBytes: 256 << 20,
    // Nobody lags behind a single voter: what is applied need not stay in memory.
    retainedEntries: 0,
    maxRetainedBytes: 0,
    unreachableDelayTicks: { min: 1, max: 1 },
  };
}
