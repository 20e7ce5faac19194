import {
  type ConnectTarget,
  type Listener,
  type ListenHandler,
  type ListenTarget,
  type Runtime,
  type Timer,
} from '../runtime.js';
import { createMemoryPipePair } from '../transport/memory-pipe.js';
import { type Endpoint, type Pipe } from '../transport/pipe.js';

interface VirtualTimer extends Timer {
  readonly at: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/**
 * A runtime whose time stands still unless a test moves it, with a network in memory. One address space; listeners are
 * found by port.
 */
export class VirtualRuntime implements Runtime {
  #now = 1_000;
  #timers: VirtualTimer[] = [];
  #deferred: (() => void)[] = [];
  readonly #listeners = new Map<number, ListenHandler>();
  /** Pipes of accepted connections, for tests that break them. */
  readonly acceptedPipes: Pipe[] = [];
  pipeHighWaterBytes = 65_536;
  #nextPort = 40_000;

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: VirtualTimer = {
      at: this.#now + Math.max(0, delayMs),
      callback,
      isCancelled: false,
      cancel() {
        this.isCancelled = true;
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  random(): number {
    return 0.5;
  }

  get pendingTimers(): number {
    return this.#timers.filter((timer) => !timer.isCancelled).length;
  }

  connect(target: ConnectTarget): Pipe {
    const client: Endpoint = { address: 'client', port: this.#nextPort++ };
    const server: Endpoint = { address: target.host ?? 'localhost', port: target.port ?? 0 };
    const [near, far] = createMemoryPipePair(this, {
      clientEndpoint: client,
      serverEndpoint: server,
      highWaterBytes: this.pipeHighWaterBytes,
    });
    const listener = this.#listeners.get(server.port);
    this.defer(() => {
      if (listener === undefined || !listener.admit(client)) {
        near.destroy(new Error(`connect ECONNREFUSED ${server.address}:${server.port}`));
        return;
      }
      this.acceptedPipes.push(far);
      listener.accepted(far);
      near.handler?.onOpen();
    });
    return near;
  }

  listen(target: ListenTarget, handler: ListenHandler): Promise<Listener> {
    const port = target.port === undefined || target.port === 0 ? this.#nextPort++ : target.port;
    if (this.#listeners.has(port)) return Promise.reject(new Error(`listen EADDRINUSE: port ${port}`));
    this.#listeners.set(port, handler);
    return Promise.resolve({
      local: { address: target.host ?? '127.0.0.1', port },
      replaceTls: () => {},
      close: () => {
        this.#listeners.delete(port);
        return Promise.resolve();
      },
    });
  }

  /** Runs everything that needs no time: deferred calls and the promises they settle. */
  async settle(): Promise<void> {
    for (let idleRounds = 0; idleRounds < 3;) {
      const deferred = this.#deferred.splice(0);
      for (const callback of deferred) callback();
      await Promise.resolve();
      idleRounds = deferred.length === 0 ? idleRounds + 1 : 0;
    }
  }

  /** Moves time, firing timers in order and settling after each. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await this.settle();
    for (;;) {
      this.#timers = this.#timers.filter((timer) => !timer.isCancelled);
      const next = this.#timers.reduce<VirtualTimer | undefined>(
        (first, timer) => (timer.at <= end && (first === undefined || timer.at < first.at) ? timer : first),
        undefined,
      );
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      next.isCancelled = true;
      next.callback();
      await this.settle();
    }
    this.#now = end;
  }
}
