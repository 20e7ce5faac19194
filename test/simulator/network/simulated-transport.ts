import { type Identities } from '../world/identity.js';
import { type MemberId } from '../../../apps/server/src/engine/raft/message.js';
import { type PeerMessage } from '../../../apps/server/src/engine/replica/peer-message.js';
import {
  type PeerTransport,
  type StateFile,
} from '../../../apps/server/src/engine/replica/peer-transport.js';
import { type Gate } from '../world/gate.js';
import { type Schedule } from '../world/schedule.js';
import { type SimulatedDisk } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { type Endpoint, type Network } from './network.js';
import { type CarriedState, readState, spoolState } from './state-transfer.js';

/** How often a member tries to connect to others that refused it, or were not there. */
const connectEveryMs = 1_000;

/** What belongs to the process of a transport. */
export interface TransportParts {
  readonly schedule: Schedule;
  readonly network: Network;
  readonly gate: Gate;
  readonly disk: SimulatedDisk;
  /** Unique among all processes. */
  readonly process: number;
  readonly member: number;
  readonly identities: Identities;
  /** Members that it is told of before it knows the cluster. */
  readonly acquainted: readonly MemberId[];
  /** A state at `index` arrived. */
  readonly onState: (index: number) => void;
}

/** The transport of one process on the simulated network. */
export class SimulatedTransport implements PeerTransport, Endpoint {
  onMessage: PeerTransport['onMessage'];
  onState: PeerTransport['onState'];
  onUnreachable: PeerTransport['onUnreachable'];
  onSendFailed: PeerTransport['onSendFailed'];
  onRemoved: PeerTransport['onRemoved'];

  isRemoved: PeerTransport['isRemoved'];

  private received = 0;
  private peers: ReadonlySet<MemberId> = new Set();
  /** Members that called, or that this one was told of, and that the replica has not named. */
  private readonly strangers: Set<MemberId>;
  /** Members that the replica named before and no longer does. */
  private readonly former = new Set<MemberId>();

  constructor(private readonly parts: TransportParts) {
    this.strangers = new Set(parts.acquainted);
    parts.network.attach(this);
    this.connectLater();
  }

  get member(): number {
    return this.parts.member;
  }

  send(messages: readonly PeerMessage[]): void {
    const { network, member, identities } = this.parts;
    for (const message of messages) {
      const to = identities.numberOf(message.to);
      if (to !== undefined && this.reaches(message.to)) network.send(member, to, message);
    }
  }

  /** Who is not named any more is refused from now on; addresses are not simulated. */
  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void {
    for (const id of this.peers) if (!peers.has(id)) this.former.add(id);
    this.peers = new Set(peers.keys());
    for (const id of this.peers) this.former.delete(id);
    for (const id of [...this.strangers]) {
      if (this.peers.has(id) || this.wasRemoved(id)) this.strangers.delete(id);
    }
  }

  /** Resumes where a connection broke are within the network: it brings all of a state, late, or gives up. */
  async sendState(to: MemberId, senderTerm: number, state: StateFile): Promise<void> {
    const { network, disk, member, identities } = this.parts;
    const target = identities.numberOf(to);
    if (target === undefined || !this.reaches(to)) throw new Error(`there is no member ${to.toString(16)}`);
    const carried = await readState(disk, state, this.idOf(member), senderTerm);
    await new Promise<void>((resolve, reject) => {
      network.sendState(member, target, carried, (error) => {
        this.parts.gate.pass(() => (error === undefined ? resolve() : reject(error)));
      });
    });
  }

  close(): Promise<void> {
    this.parts.network.detach(this, true);
    return Promise.resolve();
  }

  arrive(message: PeerMessage): void {
    this.parts.gate.pass(() => {
      if (this.hears(message.from)) this.onMessage?.(message);
    });
  }

  introduced(member: number): void {
    this.parts.gate.pass(() => this.hears(this.idOf(member)));
  }

  toldRemoved(): void {
    this.parts.gate.pass(() => this.onRemoved?.());
  }

  takeState(state: CarriedState, done: (error: Error | undefined) => void): void {
    const { disk, process, gate, onState } = this.parts;
    const { bytes, ...rest } = state;
    gate.pass(() => {
      const arrived = (path: string): void => {
        onState(state.index);
        this.onState?.({ ...rest, path });
        done(undefined);
      };
      // No room for it, for one.
      spoolState(disk, bytes, process * 1000 + ++this.received).then(arrived, done);
    });
  }

  sendFailed(member: number): void {
    this.parts.gate.pass(() => this.onSendFailed?.(this.idOf(member)));
  }

  unreachable(member: number): void {
    this.parts.gate.pass(() => this.onUnreachable?.(this.idOf(member)));
  }

  /** Connections are made whether or not there is anything to say: a learner says nothing when nobody leads it. */
  private connectLater(): void {
    const { schedule, gate, network, member, identities } = this.parts;
    const connect = (): void => {
      for (const id of [...this.peers, ...this.strangers]) {
        const to = identities.numberOf(id);
        if (to !== undefined) network.introduce(member, to);
      }
      this.connectLater();
    };
    schedule.after(connectEveryMs, `${member} connects to the others`, () => gate.pass(connect));
  }

  /** False for a member that was removed; it is told. */
  private hears(from: MemberId): boolean {
    const { network, member, identities } = this.parts;
    const isFormer = this.wasRemoved(from);
    const sender = identities.numberOf(from);
    if (isFormer && sender !== undefined) network.tellRemoved(member, sender);
    if (!isFormer && !this.peers.has(from)) this.strangers.add(from);
    return !isFormer;
  }

  private reaches(id: MemberId): boolean {
    return this.peers.has(id) || this.strangers.has(id);
  }

  private wasRemoved(id: MemberId): boolean {
    return !this.peers.has(id) && (this.former.has(id) || this.isRemoved?.(id) === true);
  }

  private idOf(member: number): MemberId {
    return this.parts.identities.all[member - 1].id;
  }
}
