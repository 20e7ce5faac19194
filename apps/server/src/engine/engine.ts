import { Buffer } from 'node:buffer';
import { etcdserverpb, ProtocolError } from '@conclave/protocol';
import type { Integrity } from './apply/chains.js';
import { CommandKind } from './apply/command.js';
import { type StateMachine } from './apply/state-machine.js';
import { assemble, type EngineParts } from './engine-parts.js';
import type { EngineOptions } from './engine-options.js';
import { observeEngine } from './engine-metrics.js';
import { openStorage, type EnginePlatform, type Storage } from './engine-storage.js';
import { AutoCompaction } from './replica/auto-compaction.js';
import { LeaseExpiry } from './replica/lease-expiry.js';
import type { PeerTransport } from './replica/peer-transport.js';
import { type Replica } from './replica/replica.js';
import { AutoPromotion } from './requests/auto-promotion.js';
import { leaderAnswers } from './requests/leader-answers.js';
import type { MethodTable } from './requests/method.js';
import { createMethods } from './requests/methods.js';
import { SpaceQuota } from './requests/space-quota.js';
import { clusterVersion, storageVersion } from './requests/version.js';

/** What a member publishes of itself, and could not, is published again after this time. */
const publishRetryMs = 1_000;

/** Kinds of alarms, as health answers name them. */
export type AlarmName = 'NOSPACE' | 'CORRUPT';

/** What a running member says of itself, from memory and at once. */
export interface EngineState {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** 0n while no leader is known. */
  leader(): bigint;
  isLearner(): boolean;
  /** The kinds that are raised, whichever member they are about. */
  alarms(): readonly AlarmName[];
  /** Each alarm with the member that it is about. */
  raisedAlarms(): readonly { readonly memberId: bigint; readonly kind: AlarmName }[];
  /** What comparing the members said of this one; while it is not sound the member serves nobody. */
  integrity(): Integrity;
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
  const parts = assemble(options, platform, transport, storage);
  return new RunningEngine(options, platform, transport, storage, parts);
}

class RunningEngine implements Engine {
  readonly methods: MethodTable;
  readonly state: EngineState;
  readonly ready: Promise<void>;
  readonly failed: Promise<Error>;
  private readonly replica: Replica;
  private readonly machine: StateMachine;
  private readonly expiry: LeaseExpiry;
  private readonly autoCompaction: AutoCompaction;
  private readonly promotion: AutoPromotion | undefined;
  private readonly quota: SpaceQuota;
  private markReady!: () => void;
  private closing: Promise<void> | undefined;
  private isPublished = false;

  constructor(
    private readonly options: EngineOptions,
    private readonly platform: EnginePlatform,
    private readonly transport: PeerTransport,
    private readonly storage: Storage,
    private readonly parts: EngineParts,
  ) {
    const { clock, meter, logger } = platform;
    const { lessor, machine, renewal, store } = parts;
    this.replica = parts.replica;
    this.machine = machine;
    const { replica } = this;
    const timing = { clock, extendMs: options.electionMs };
    this.expiry = new LeaseExpiry({ replica, lessor, machine, meter, renewal, ...timing });
    this.autoCompaction = new AutoCompaction({ replica, store, clock, logger }, options.autoCompaction);
    this.promotion = options.promotesLearners === true ? new AutoPromotion(parts) : undefined;
    const { wal, backend } = storage;
    this.quota = new SpaceQuota(parts, () => wal.stats.noSpace || backend.stats.noSpace !== undefined);
    wal.onNoSpace = () => this.quota.raiseAlarm();
    backend.onNoSpace = () => this.quota.raiseAlarm();
    this.methods = createMethods(parts, this.quota);
    replica.link.onQuery = leaderAnswers(parts);
    this.state = this.describe();
    this.ready = new Promise((resolve) => (this.markReady = resolve));
    this.failed = new Promise((resolve) => (replica.events.failure = resolve));
    observeEngine(parts, meter);
    this.start();
  }

  async drain(): Promise<void> {
    if (!this.replica.leads) return;
    const candidate = this.parts.transfer.candidate();
    if (candidate === undefined) return;
    const isDone = await new Promise<boolean>((resolve) => {
      this.parts.transfer.handOver(candidate, resolve);
    });
    const { logger } = this.platform;
    const to = candidate.toString(16);
    if (isDone) logger.info('leadership handed over', { to });
    else logger.warn('leadership could not be handed over in time; the others will elect a leader', { to });
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private start(): void {
    const { machine, replica, platform, parts } = this;
    const { hub, compactor, roster } = parts;
    machine.onApplied = platform.onApplied;
    machine.onChanges = (changes) => hub.notify(changes);
    machine.onCompacted = () => compactor.wake();
    machine.onMembers = () => roster.refresh();
    hub.onWork = () => this.catchUpLater();
    const { events } = replica;
    events.leadership = (term) => this.leadershipChanged(term);
    events.leader = () => this.publish();
    events.tick = () => this.observeMembers();
    events.noSpace = () => this.quota.raiseAlarm();
    events.doubted = () => parts.watches.endAll(ProtocolError.of('Unhealthy'));
    events.restored = () => {
      hub.restored();
      compactor.wake();
    };
    roster.refresh();
    compactor.wake();
    this.autoCompaction.start();
    replica.start();
  }

  private leadershipChanged(term: number | undefined): void {
    this.expiry.leadershipChanged(term);
    this.autoCompaction.leadershipChanged(term);
    if (term === undefined) return;
    this.parts.health.begin(this.platform.clock.now());
    // The log tells of it once, maybe before anybody leads, as on a start with a full disk: then nobody took the alarm.
    this.quota.raiseAlarmIfFull();
  }

  private observeMembers(): void {
    const { roster, health, replica, clock, leaderless } = this.parts;
    leaderless.tick(replica.leader, clock.now());
    if (!roster.hasPeers || !replica.leads) return;
    health.observe(replica.status.progress, clock.now());
    this.promotion?.tick();
  }

  /** Watchers that lag are served in slices, one a turn, so that nobody else waits for them. */
  private catchUpLater(): void {
    this.platform.clock.defer(() => {
      if (this.closing === undefined && this.parts.hub.runCatchUp()) this.catchUpLater();
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
      if (error === undefined) this.agreeOnVersion();
      else this.publishLater(error);
    });
  }

  private agreeOnVersion(): void {
    if (this.machine.cluster.version !== undefined) return this.markReady();
    this.replica.propose(CommandKind.ClusterVersion, Buffer.from(clusterVersion, 'utf8'), (error) => {
      if (error === undefined) this.markReady();
      else this.publishLater(error);
    });
  }

  private publishLater({ reason }: ProtocolError): void {
    if (reason === 'Stopped') return;
    this.isPublished = false;
    this.platform.clock.after(publishRetryMs, () => this.publish());
  }

  private describe(): EngineState {
    const { identity } = this.storage;
    const raisedAlarms: EngineState['raisedAlarms'] = () =>
      this.machine.cluster.alarms.map(({ memberId, alarm }) => ({ memberId, kind: alarmName(alarm) }));
    return {
      ...identity,
      raisedAlarms,
      leader: () => this.replica.leader,
      isLearner: () => this.replica.isLearner,
      alarms: () => [...new Set(raisedAlarms().map(({ kind }) => kind))],
      integrity: () => this.machine.chains.integrity,
      clusterVersion: () => this.machine.cluster.version,
      storageVersion: () => storageVersion,
    };
  }

  private async shutDown(): Promise<void> {
    this.expiry.stop();
    this.autoCompaction.stop();
    this.parts.compactor.stop();
    this.parts.hub.close();
    this.replica.stop();
    await this.transport.close();
    await this.storage.close();
    this.platform.logger.info('member closed');
  }
}

function alarmName(alarm: etcdserverpb.AlarmType): AlarmName {
  return alarm === etcdserverpb.AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE';
}
