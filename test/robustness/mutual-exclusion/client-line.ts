import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Condition, Link } from '../cluster/link.js';

/** The way of one client to one member, each direction of which can be broken by itself. */
export class ClientLine {
  readonly toServer = new Link();
  readonly toClient = new Link();
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {
    server.on('connection', (caller: Socket) => this.join(caller));
  }

  static async to(port: number): Promise<ClientLine> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return new ClientLine(server, port);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Both directions. */
  set condition(condition: Condition) {
    this.toServer.condition = condition;
    this.toClient.condition = condition;
  }

  reset(): void {
    this.toServer.reset();
    this.toClient.reset();
  }

  stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    return closed;
  }

  private join(caller: Socket): void {
    const member = connect({ host: '127.0.0.1', port: this.port, allowHalfOpen: true });
    for (const socket of [caller, member]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.once('close', () => this.sockets.delete(socket));
    }
    this.toServer.join(caller, member);
    this.toClient.join(member, caller);
  }
}
