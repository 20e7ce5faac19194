import { type MemberId } from '../../../apps/server/src/engine/raft/message.js';
import { type PeerMessage } from '../../../apps/server/src/engine/replica/peer-message.js';
import {
  type PeerTransport,
  type StateFile,
} from '../../../apps/server/src/engine/replica/peer-transport.js';
import { type Gate } from '../world/gate.js';
import { type SimulatedDisk } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { type Endpoint, type Network } from './network.js';
import { type CarriedState, readState, spoolState } from './state-transfer.js';

/** What belongs to the process of a transport. */
export interface TransportParts {
  readonly network: Network;
  readonly gate: Gate;
  readonly disk: SimulatedDisk;
  /** Unique among all processes. */
  readonly process: number;
  readonly member: number;
  /** Members are numbered from 1; these two translate. */
  readonly idOf: (member: number) => MemberId;
  readonly numberOf: (id: MemberId) => number;
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

  private received = 0;

  constructor(private readonly parts: TransportParts) {
    parts.network.attach(this);
  }

  get member(): number {
    return this.parts.member;
  }

  send(messages: readonly PeerMessage[]): void {
    const { network, member, numberOf } = this.parts;
    for (const message of messages) network.send(member, numberOf(message.to), message);
  }

  /** Everybody can be reached from the start here: addresses are not simulated. */
  setPeers(): void {}

  /** Resumes where a connection broke are within the network: it brings all of a state, late, or gives up. */
  async sendState(to: MemberId, senderTerm: number, state: StateFile): Promise<void> {
    const { network, disk, member, idOf, numberOf } = this.parts;
    const carried = await readState(disk, state, idOf(member), senderTerm);
    await new Promise<void>((resolve, reject) => {
      network.sendState(member, numberOf(to), carried, (error) => {
        this.parts.gate.pass(() => (error === undefined ? resolve() : reject(error)));
      });
    });
  }

  close(): Promise<void> {
    this.parts.network.detach(this, true);
    return Promise.resolve();
  }

  arrive(message: PeerMessage): void {
    this.parts.gate.pass(() => this.onMessage?.(message));
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
    this.parts.gate.pass(() => this.onSendFailed?.(this.parts.idOf(member)));
  }

  unreachable(member: number): void {
    this.parts.gate.pass(() => this.onUnreachable?.(this.parts.idOf(member)));
  }
}
