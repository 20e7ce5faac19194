import { type Buffer } from 'node:buffer';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP line to a port of 127.0.0.1 that can be silenced, as a half-open connection is, cut, or count bytes. */
export class Line {
  /** Bytes carried towards the port. */
  forwarded = 0;
  /** Called with the chunks towards the port, which it may change, before they are passed on. */
  onForward: ((chunk: Buffer) => void) | undefined;
  #isSilent = false;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(target: () => number): Promise<Line> {
    const lines: Line[] = [];
    const server = createServer((near) => lines[0]?.join(near, connect(target(), '127.0.0.1')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    lines.push(new Line(server, (server.address() as { port: number }).port));
    return lines[0] as Line;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Nothing arrives any more, in either direction, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  restore(): void {
    this.#isSilent = false;
  }

  /** Breaks every connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        if (this.#isSilent) return;
        if (from === near) {
          this.forwarded += chunk.length;
          this.onForward?.(chunk);
        }
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
