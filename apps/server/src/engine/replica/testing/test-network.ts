import type { Clock } from '../../platform/clock.js';
import type { SimulatedDisk } from '../../platform/simulated-disk.js';
import type { MemberId } from '../../raft/message.js';
import type { PeerMessage } from '../peer-message.js';
import type { PeerTransport, StateFile } from '../peer-transport.js';

const latencyMs = 1;

/** What becomes of a message: arrivals after so many milliseconds each; none is a loss, two are a repetition. */
export type Fate = readonly number[];

export const delivered: Fate = [latencyMs];
export const lost: Fate = [];

interface Port {
  readonly transport: TestTransport;
  readonly disk: SimulatedDisk;
}

/** A network in memory between members, on one clock. What happens to each message is the test's to say. */
export class TestNetwork {
  /** Decides on each message; without it all arrive. */
  fateOf: ((message: PeerMessage) => Fate) | undefined;
  /** What arrives in place of a message; without it the message itself. */
  alter: ((message: PeerMessage) => PeerMessage) | undefined;
  /** Everything that was sent, in order. */
  readonly sent: PeerMessage[] = [];
  private readonly ports = new Map<MemberId, Port>();
  private states = 0;
  private readonly cutOff = new Set<MemberId>();

  constructor(readonly clock: Clock) {}

  attach(member: MemberId, disk: SimulatedDisk): TestTransport {
    const transport = new TestTransport(this, member);
    this.ports.set(member, { transport, disk });
    return transport;
  }

  detach(transport: TestTransport): void {
    if (this.ports.get(transport.member)?.transport === transport) this.ports.delete(transport.member);
  }

  /** Nothing goes to or from this member until `rejoin`. */
  isolate(member: MemberId): void {
    this.cutOff.add(member);
  }

  rejoin(member: MemberId): void {
    this.cutOff.delete(member);
  }

  carry(sent: PeerMessage): void {
    this.sent.push(sent);
    const message = this.alter?.(sent) ?? sent;
    for (const delayMs of this.fateOf?.(message) ?? delivered) {
      this.clock.after(delayMs, () => {
        if (this.isConnected(message.from, message.to))
          this.ports.get(message.to)?.transport.onMessage?.(message);
      });
    }
  }

  async carryState(from: MemberId, to: MemberId, senderTerm: number, state: StateFile): Promise<void> {
    const source = this.ports.get(from);
    const target = this.ports.get(to);
    if (source === undefined || target === undefined || !this.isConnected(from, to)) {
      throw new Error(`member ${to.toString(16)} cannot be reached`);
    }
    const path = `/incoming/${++this.states}`;
    await target.disk.makeDirectory('/incoming');
    const file = await source.disk.open(state.path, 'read');
    const bytes = await file.read(0, await file.size());
    await file.close();
    const copy = await target.disk.open(path, 'create');
    await copy.write(0, bytes);
    await copy.sync();
    await copy.close();
    const { index, term, confState } = state;
    target.transport.onState?.({ index, term, confState, path, from, senderTerm });
  }

  private isConnected(from: MemberId, to: MemberId): boolean {
    return !this.cutOff.has(from) && !this.cutOff.has(to);
  }
}

export class TestTransport implements PeerTransport {
  onMessage: PeerTransport['onMessage'];
  onState: PeerTransport['onState'];
  onUnreachable: PeerTransport['onUnreachable'];
  onSendFailed: PeerTransport['onSendFailed'];
  onRemoved: PeerTransport['onRemoved'];
  /** What `setPeers` was called with last. */
  peers: ReadonlyMap<MemberId, readonly string[]> = new Map();

  constructor(
    private readonly network: TestNetwork,
    readonly member: MemberId,
  ) {}

  send(messages: readonly PeerMessage[]): void {
    for (const message of messages) this.network.carry(message);
  }

  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void {
    this.peers = peers;
  }

  sendState(to: MemberId, senderTerm: number, state: StateFile): Promise<void> {
    return this.network.carryState(this.member, to, senderTerm, state);
  }

  close(): Promise<void> {
    this.network.detach(this);
    return Promise.resolve();
  }
}
