import { createClient, type Clock, type ConclaveClient, type TransportFactory } from '@conclave/client';
import { type Observable } from 'rxjs';
import { type ClientParts } from '../clients/connection.js';
import { Gate } from '../world/gate.js';
import { numberOfClientUrl } from '../world/identity.js';
import { SimulatedClock, type ClockError } from '../world/simulated-clock.js';
import { type ClientPath } from './client-path.js';
import { MemberTransport } from './member-transport.js';
import { type SdkLeases } from './sdk-leases.js';

/** What the connections of one process of a worker share. */
export interface ProcessParts extends ClientParts {
  readonly number: number;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly path: ClientPath;
  readonly leases: SdkLeases;
  readonly transports: Set<MemberTransport>;
}

export interface WorkerMachine {
  readonly number: number;
  readonly path: ClientPath;
  readonly clock: ClockError;
  /** What the wall clock was set forward or back by, in ms. */
  wallOffsetMs: number;
}

/** What processes of workers need of their world. */
export interface WorkerParts extends ClientParts {
  readonly leases: SdkLeases;
  /** Addresses of all members that have a machine. */
  readonly endpoints: Observable<readonly string[]>;
  /** Stands between the client and the network. */
  readonly wrapTransport: (transports: TransportFactory, clock: Clock) => TransportFactory;
}

/**
 * A process with the production client in it. Everything that happens to it passes its gate, so it can be stopped, and die; after that
 * nothing of it runs any more.
 */
export class WorkerProcess {
  readonly gate: Gate;
  readonly clock: Clock;
  readonly client: ConclaveClient;
  private readonly transports = new Set<MemberTransport>();

  constructor(parts: WorkerParts, machine: WorkerMachine, life: number) {
    const { schedule, fate, members, endpoints } = parts;
    const { number, path } = machine;
    const gate = (this.gate = new Gate(schedule));
    const clock = (this.clock = clockOf(parts, machine, gate));
    const { transports } = this;
    const given: ProcessParts = { ...parts, number, gate, clock, path, transports };
    const connect: TransportFactory = (endpoint, options) => {
      const transport = new MemberTransport(given, members[numberOfClientUrl(endpoint) - 1], options);
      transports.add(transport);
      return transport;
    };
    const draw = fate.draw('production client', number, life);
    this.client = createClient({
      endpoints,
      clock,
      random: () => draw.next(),
      transport: parts.wrapTransport(connect, clock),
      onWarning: () => {},
      retry: { base: '50ms', max: '1s' },
      requestTimeout: '3s',
    });
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(ms, resolve));
  }

  broken(member: ClientParts['members'][number]): void {
    for (const transport of [...this.transports]) if (transport.member === member) transport.lost();
  }

  /** It dies; members see its connections go. */
  kill(): void {
    for (const transport of this.transports) transport.abandon();
    this.gate.halt();
  }
}

function clockOf({ schedule }: WorkerParts, machine: WorkerMachine, gate: Gate): Clock {
  const wallOffset = (): number => machine.wallOffsetMs;
  const clock = new SimulatedClock(schedule, gate, machine.clock, wallOffset, () => 0);
  return {
    monotonic: () => clock.now(),
    wall: () => clock.wall(),
    setTimer: (delayMs, callback) => clock.after(delayMs, callback),
  };
}
