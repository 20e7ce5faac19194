import { Proposer } from './apply/command.js';
import { StateMachine } from './apply/state-machine.js';
import type { EngineOptions } from './engine-options.js';
import type { EnginePlatform, Storage } from './engine-storage.js';
import { Lessor } from './lease/lessor.js';
import { MvccStore } from './mvcc/mvcc-store.js';
import { RawNode } from './raft/raw-node.js';
import { Compactor } from './replica/compactor.js';
import { LeadershipTransfer } from './replica/leadership-transfer.js';
import { LeaseRenewal } from './replica/lease-renewal.js';
import { MemberHealth } from './replica/member-health.js';
import type { PeerTransport } from './replica/peer-transport.js';
import { Replica } from './replica/replica.js';
import { Roster } from './replica/roster.js';
import { LeaderlessStreams } from './requests/leaderless-streams.js';
import { OpenWatches } from './requests/open-watches.js';
import type { RequestParts } from './requests/request-parts.js';
import { ResponseHeader } from './requests/response-header.js';
import { WatchHub } from './watch/watch-hub.js';

/** All that a member is made of, apart from what only the composition root needs. */
export interface EngineParts extends RequestParts {
  readonly roster: Roster;
}

/** Builds the parts of a member over its open storage and connects them. Nothing runs yet. */
export function assemble(
  options: EngineOptions,
  platform: EnginePlatform,
  transport: PeerTransport,
  storage: Storage,
): EngineParts {
  const { clock, random, logger } = platform;
  const { backend, identity } = storage;
  const store = MvccStore.open(backend);
  const { leaseCheckpointIntervalSeconds: checkpointIntervalSeconds } = options;
  const lessor = Lessor.recover(backend, { checkpointIntervalSeconds });
  const machine = new StateMachine({ backend, store, lessor });
  const replica = createReplica(options, platform, transport, storage, machine);
  const { memberId } = identity;
  const lingerMs = options.electionMs;
  return {
    replica,
    machine,
    store,
    lessor,
    hub: createHub(options, platform, storage, store, replica),
    backend,
    compactor: new Compactor(store, machine, backend, clock, platform.meter, options.compactionRowsPerSlice),
    renewal: new LeaseRenewal({ replica, machine, lessor, clock }),
    health: new MemberHealth(options.electionMs),
    transfer: new LeadershipTransfer(replica, clock, options.electionMs),
    leaderless: new LeaderlessStreams(3 * options.electionMs),
    watches: new OpenWatches(),
    roster: new Roster({ memberId, machine, replica, transport, clock, logger, lingerMs }),
    header: new ResponseHeader(identity.clusterId, memberId, () => replica.term),
    clock,
    random,
    meter: platform.meter,
    disk: platform.disk,
    spoolDirectory: spoolDirectoryOf(options),
    limits: options.limits,
    identity,
  };
}

function createReplica(
  options: EngineOptions,
  platform: EnginePlatform,
  transport: PeerTransport,
  { backend, wal, identity, recovered }: Storage,
  machine: StateMachine,
): Replica {
  const { clock, random, logger, meter, disk } = platform;
  const { memberId } = identity;
  const hasPeers = (): boolean => machine.cluster.members.length > 1;
  const raft = new RawNode(raftConfig(options, platform, memberId, hasPeers), recovered);
  const proposer = new Proposer(memberId, random.uint64());
  const spoolDirectory = spoolDirectoryOf(options);
  return new Replica(
    {
      raft,
      wal,
      machine,
      backend,
      transport,
      clock,
      logger,
      meter,
      proposer,
      disk,
      memberId,
      spoolDirectory,
    },
    {
      heartbeatMs: options.heartbeatMs,
      electionMs: options.electionMs,
      // As etcd waits for a proposal.
      requestTimeoutMs: 5_000 + 2 * options.electionMs,
      leaderlessMs: 2 * options.electionMs,
      proposalBytesMax: 256 << 20,
    },
  );
}

function spoolDirectoryOf({ directory }: EngineOptions): string {
  return `${directory}/spool`;
}

function createHub(
  options: EngineOptions,
  { clock, random }: EnginePlatform,
  { identity }: Storage,
  store: MvccStore,
  replica: Replica,
): WatchHub {
  return new WatchHub(store, {
    clock,
    random,
    header: () => ({ ...identity, raftTerm: replica.term }),
    progressIntervalMs: options.watchProgressIntervalMs,
    fragmentBytes: options.limits.maxRequestBytes + (512 << 10),
  });
}

function raftConfig(
  options: EngineOptions,
  platform: EnginePlatform,
  id: bigint,
  hasPeers: () => boolean,
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
    // Nobody lags behind a member without peers: what is applied need not stay in memory.
    get retainedEntries() {
      return hasPeers() ? (options.retainedEntries ?? 5_000) : 0;
    },
    get maxRetainedBytes() {
      return hasPeers() ? 64 << 20 : 0;
    },
    unreachableDelayTicks: { min: 1, max: 1 },
  };
}
