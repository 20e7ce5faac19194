import { type Condition } from './link.js';
import { type MemberNetwork, type NetworkPlace, type Way } from './member-network.js';
import { ipHere, Namespace } from './namespace.js';

interface Machine {
  readonly namespace: Namespace;
  readonly host: string;
}

/** Nobody has it: the bridge carries what is sent there to everybody, and every kernel drops it. */
const nobody = '02:00:00:00:00:00';

/**
 * Every member in a network namespace of its own, as on a machine of its own, with a pair of virtual interfaces to one
 * bridge. A way is cut by giving the sender a wrong hardware address for the receiver: whatever it sends is gone without
 * a trace, acknowledgements too, and the other direction stays as it is. Needs root, `ip`, `unshare` and `nsenter`.
 */
export class NamespaceNetwork implements MemberNetwork {
  readonly kind = 'namespaces';
  private readonly machines = new Map<string, Machine>();
  private readonly cuts = new Set<string>();
  private readonly subnet = `10.${64 + ((process.pid >> 8) & 63)}.${process.pid & 255}`;
  private places = 0;
  /** Our end of the way to the bridge is there. */
  private isLinked = false;

  private constructor(private readonly hub: Namespace) {}

  static async create(): Promise<NamespaceNetwork> {
    const network = new NamespaceNetwork(await Namespace.create());
    try {
      network.build();
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  async place(name: string): Promise<NetworkPlace> {
    const namespace = await Namespace.create();
    const number = ++this.places;
    const host = `${this.subnet}.${number}`;
    this.machines.set(name, { namespace, host });
    this.hub.ip(
      `link add port${number} type veth peer name eth0 netns ${namespace.pid}`,
      `link set port${number} master bridge0 up`,
    );
    namespace.ip('link set lo up', `addr add ${host}/24 dev eth0`, 'link set eth0 up');
    return { host, clientPort: 2379, peerPort: 2380, advertisedPeerPort: 2380, wrapper: namespace.wrapper };
  }

  /** The kernel does this by itself. */
  listen(): Promise<void> {
    return Promise.resolve();
  }

  refuse(): void {
    // The namespace stays when the member has ended, and answers connections with RST.
  }

  remove(name: string): void {
    const machine = this.machineOf(name);
    this.machines.delete(name);
    for (const cut of this.cuts) if (cut.split('>').includes(name)) this.cuts.delete(cut);
    void machine.namespace.close();
  }

  way(from: string, to: string): Way {
    const key = `${from}>${to}`;
    const { cuts } = this;
    const set = (condition: Condition): void => {
      const isCut = condition.kind === 'held' || condition.kind === 'lost';
      if (!isCut && condition.kind !== 'open') throw new Error(`namespaces have no ${condition.kind} links`);
      if (isCut !== cuts.has(key)) this.cut(from, to, isCut);
    };
    return {
      get condition(): Condition {
        return { kind: cuts.has(key) ? 'lost' : 'open' };
      },
      set condition(condition: Condition) {
        set(condition);
      },
    };
  }

  heal(): void {
    for (const cut of [...this.cuts]) {
      const [from, to] = cut.split('>');
      this.cut(from, to, false);
    }
  }

  /** The other interfaces go with the namespaces, some time after; ours must not be in the way of the next network. */
  async close(): Promise<void> {
    if (this.isLinked) ipHere(`link del ${this.ours}`);
    const namespaces = [...this.machines.values()].map(({ namespace }) => namespace);
    await Promise.all([...namespaces, this.hub].map((namespace) => namespace.close()));
  }

  /** The name of our end of the way to the bridge. */
  private get ours(): string {
    return `cv${this.hub.pid}`;
  }

  /** The bridge, and our own way to it, over which the clients come. */
  private build(): void {
    const { ours } = this;
    this.hub.ip('link add bridge0 type bridge', 'link set bridge0 up');
    ipHere(`link add ${ours} type veth peer name clients netns ${this.hub.pid}`);
    this.isLinked = true;
    ipHere(`addr add ${this.subnet}.254/24 dev ${ours}`, `link set ${ours} up`);
    this.hub.ip('link set clients master bridge0 up');
  }

  private cut(from: string, to: string, isCut: boolean): void {
    const { namespace } = this.machineOf(from);
    const { host } = this.machineOf(to);
    if (isCut) {
      namespace.ip(`neigh replace ${host} lladdr ${nobody} dev eth0 nud permanent`);
      this.cuts.add(`${from}>${to}`);
    } else {
      namespace.ip(`neigh del ${host} dev eth0`);
      this.cuts.delete(`${from}>${to}`);
    }
  }

  private machineOf(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`there is no member ${name} in the network`);
    return machine;
  }
}

/** Whether such a network can be made here. */
export async function canMakeNamespaces(): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    const network = await NamespaceNetwork.create();
    try {
      await network.place('probe');
    } finally {
      await network.close();
    }
    return true;
  } catch {
    return false;
  }
}
