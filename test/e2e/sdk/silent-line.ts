import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a port that can fall silent: its connections stay open and nothing gets through in either direction. It counts. */
export class SilentLine {
  private readonly sockets = new Set<Socket>();
  private isSilent = false;
  private bytesBack = 0;

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (near) => this.join(near));
  }

  static async to(port: number): Promise<SilentLine> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return new SilentLine(server, port);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Octets that came from the port so far. */
  get received(): number {
    return this.bytesBack;
  }

  fallSilent(): void {
    this.isSilent = true;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  private join(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    far.on('data', (chunk) => (this.bytesBack += chunk.length));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (chunk) => {
        if (!this.isSilent) to.write(chunk);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }
}
