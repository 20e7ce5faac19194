import { connect, createServer, type Server, type Socket } from 'node:net';
import { dialerOf } from './dialer.js';
import { type Condition, Link } from './link.js';

/** One member as the network knows it. */
interface Node {
  readonly port: number;
  readonly memberPort: number;
  server: Server | undefined;
}

/**
 * What lies between the members: each is reached at a port of the network, which hands the bytes on over a link per
 * direction. Who is not known as a member passes freely.
 */
export class PeerNetwork {
  private readonly nodes = new Map<string, Node>();
  private readonly links = new Map<string, Link>();
  private readonly sockets = new Set<Socket>();

  /** @param pids The processes of the members that run, by name. */
  constructor(private readonly pids: () => ReadonlyMap<string, number>) {}

  /** Stands in front of a member: what is sent to `port` goes to `memberPort`. Nobody listens before `listen`. */
  add(name: string, port: number, memberPort: number): void {
    this.nodes.set(name, { port, memberPort, server: undefined });
  }

  remove(name: string): void {
    this.refuse(name);
    this.nodes.delete(name);
  }

  /** Takes connections for a member, as its machine does while it runs. */
  async listen(name: string): Promise<void> {
    const node = this.nodeOf(name);
    if (node.server !== undefined) return;
    const options = { allowHalfOpen: true, pauseOnConnect: true };
    const server = createServer(options, (socket) => this.accept(name, node, socket));
    node.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(node.port, '127.0.0.1', resolve);
    });
  }

  /** Refuses connections for a member, as its machine does when it has ended. */
  refuse(name: string): void {
    const node = this.nodeOf(name);
    const { server } = node;
    node.server = undefined;
    // Not its end, which waits for all connections: only that it takes no more of them.
    server?.close();
  }

  link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    const known = this.links.get(key) ?? new Link();
    this.links.set(key, known);
    return known;
  }

  /** Puts all links between one group and the other, in both directions, into a condition. */
  between(some: readonly string[], others: readonly string[], condition: Condition): void {
    for (const from of some) {
      for (const to of others) {
        if (from === to) continue;
        this.link(from, to).condition = condition;
        this.link(to, from).condition = condition;
      }
    }
  }

  heal(): void {
    for (const link of this.links.values()) link.heal();
  }

  close(): void {
    for (const { server } of this.nodes.values()) server?.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private nodeOf(name: string): Node {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`there is no member ${name} in the network`);
    return node;
  }

  private accept(name: string, node: Node, caller: Socket): void {
    this.keep(caller);
    const dialer = dialerOf(caller.remotePort ?? 0, node.port, this.pids());
    const member = connect({ host: '127.0.0.1', port: node.memberPort, allowHalfOpen: true });
    this.keep(member);
    member.setNoDelay(true);
    caller.setNoDelay(true);
    const from = dialer ?? 'somebody';
    this.link(from, name).join(caller, member);
    this.link(name, from).join(member, caller);
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }
}
