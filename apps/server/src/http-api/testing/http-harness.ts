import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { AppModule } from '../../app.module.js';
import { MetricRegistry } from '../../metrics/registry.js';
import { AccessPolicy, type AccessRules } from '../access-policy.js';
import { installHttpApplication } from '../http-application.js';
import { HttpFront } from '../http-front.js';
import { type AlarmKind, type MemberState } from '../member-state.js';
import { MemoryMethods } from './memory-methods.js';

export class FakeState implements MemberState {
  leaderId = 1n;
  isLearnerNow = false;
  alarmKinds: readonly AlarmKind[] = [];

  leader(): bigint {
    return this.leaderId;
  }

  isLearner(): boolean {
    return this.isLearnerNow;
  }

  alarms(): readonly AlarmKind[] {
    return this.alarmKinds;
  }

  integrityNow: ReturnType<MemberState['integrity']> = 'sound';

  integrity(): ReturnType<MemberState['integrity']> {
    return this.integrityNow;
  }

  clusterVersion(): string {
    return '3.6.0';
  }

  storageVersion(): undefined {
    return undefined;
  }
}

export interface HttpHarness {
  readonly url: string;
  readonly metricsUrl: string;
  readonly front: HttpFront;
  readonly methods: MemoryMethods;
  readonly state: FakeState;
  readonly defects: unknown[];
  install(): Promise<void>;
  close(): Promise<void>;
}

/** The HTTP API on a port of this machine, over an in-memory store. */
export async function startHttpHarness(rules: Partial<AccessRules> = {}): Promise<HttpHarness> {
  const policy = new AccessPolicy({
    cors: [],
    hostWhitelist: [],
    ownHosts: [],
    isLoopbackOnly: true,
    ...rules,
  });
  const front = new HttpFront(policy);
  const server = createServer((socket) => front.accept(socket));
  const metrics = createServer((socket) => front.accept(socket, { isMetricsOnly: true }));
  for (const listener of [server, metrics]) await once(listener.listen(0, '127.0.0.1'), 'listening');
  const methods = new MemoryMethods();
  const state = new FakeState();
  const defects: unknown[] = [];
  const module = AppModule.forMember({
    methods: methods.table,
    state,
    registry: new MetricRegistry(),
    limits: { messageBytesMax: 4_096, depthMax: 50, bodyTimeoutMs: 10_000 },
    healthReadTimeoutMs: 5_000,
    serverVersion: '3.6.0',
    commandLine: ['conclave', 'server'],
    onDefect: (error) => defects.push(error),
  });
  const host = { warn: () => undefined, onDefect: (error: unknown) => defects.push(error) };
  let application: { close(): Promise<void> } | undefined;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    metricsUrl: `http://127.0.0.1:${(metrics.address() as AddressInfo).port}`,
    front,
    methods,
    state,
    defects,
    install: async () => {
      application = await installHttpApplication(module, front, host);
    },
    close: async () => {
      server.close();
      metrics.close();
      await application?.close();
      await front.close();
    },
  };
}
