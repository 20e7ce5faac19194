import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePorts } from '../../members/member-process.js';
import { dialerOf } from './dialer.js';
import { Link } from './link.js';
import { type MemberNetwork, type NetworkPlace } from './member-network.js';

/** One member as the network knows it. */
interface Node {
  readonly port: number;
  memberPort: number;
  server: Server | undefined;
}

/**
 * What lies between the members: each is reached at a port of the network, which hands the bytes on over a link per
 * direction. Who is not known as a member passes freely.
 */
export class PeerNetwork implements MemberNetwork {
  readonly kind = 'links';
  private readonly nodes = new Map<string, Node>();
  private readonly links = new Map<string, Link>();
  private readonly sockets = new Set<Socket>();

  /** @param pids The processes of the members that run, by name. */
  constructor(private readonly pids: () => ReadonlyMap<string, number>) {}

  async place(name: string): Promise<NetworkPlace> {
    const [clientPort, peerPort, advertisedPeerPort] = await freePorts(3);
    this.add(name, advertisedPeerPort, peerPort);
    return { host: '127.0.0.1', clientPort, peerPort, advertisedPeerPort, wrapper: [] };
  }

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

  way(from: string, to: string): Link {
    return this.link(from, to);
  }

  /** From now on a member is reached at another port only. Gives the port; connections that there are stay. */
  async move(name: string): Promise<number> {
    const [port] = await freePorts(1);
    this.refuse(name);
    this.nodes.set(name, { ...this.nodeOf(name), port });
    await this.listen(name);
    return port;
  }

  /** From now on what is sent to a member goes to another port, as when its address was given to somebody else. */
  redirect(name: string, memberPort: number): void {
    this.nodeOf(name).memberPort = memberPort;
    this.reset(name);
  }

  /** Ends all connections between a member and the others at once. */
  reset(name: string): void {
    for (const other of this.nodes.keys()) {
      this.link(name, other).reset();
      this.link(other, name).reset();
    }
  }

  heal(): void {
    for (const link of this.links.values()) link.heal();
  }

  close(): Promise<void> {
    for (const { server } of this.nodes.values()) server?.close();
    for (const socket of this.sockets) socket.destroy();
    return Promise.resolve();
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
