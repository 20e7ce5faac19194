import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeRuntime, openPort, type Port } from '@conclave/grpc';
import { type LogFields } from '../../engine/platform/logger.js';
import { NodeDisk } from '../../engine/platform/node-disk.js';
import { NodeRandom } from '../../engine/platform/node-random.js';
import { type MemberId } from '../../engine/raft/message.js';
import { type PeerMessage } from '../../engine/replica/peer-message.js';
import { type ReceivedState } from '../../engine/replica/peer-transport.js';
import { MetricRegistry } from '../../metrics/registry.js';
import { GrpcPeerTransport, type GrpcPeerTransportOptions } from '../grpc-peer-transport.js';

export interface LogLine extends LogFields {
  readonly level: string;
  readonly message: string;
}

export const clusterId = 0xc1n;

/** A transport on a port of its own that records everything that it is told. */
export class TestMember {
  readonly received: PeerMessage[] = [];
  readonly states: ReceivedState[] = [];
  readonly unreachable: MemberId[] = [];
  readonly sendFailures: MemberId[] = [];
  readonly lines: LogLine[] = [];
  readonly defects: unknown[] = [];
  readonly registry = new MetricRegistry();
  readonly disk = new NodeDisk();
  removals = 0;
  transport!: GrpcPeerTransport;
  #port: Port | undefined;

  private constructor(
    readonly id: MemberId,
    readonly directory: string,
  ) {}

  static async start(id: MemberId, overrides: Partial<GrpcPeerTransportOptions> = {}): Promise<TestMember> {
    const member = new TestMember(id, mkdtempSync(join(tmpdir(), 'conclave-peer-')));
    await member.listen(0);
    await member.open(overrides);
    return member;
  }

  get port(): number {
    return this.#port?.local.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get spoolDirectory(): string {
    return join(this.directory, 'incoming');
  }

  async listen(port: number): Promise<void> {
    this.#port = await openPort(
      nodeRuntime,
      { port },
      { http2: (pipe, head) => this.transport.serve(pipe, head) },
    );
  }

  /** As a process that ends: nobody listens any more and all connections break. */
  async stop(): Promise<void> {
    await this.#port?.close();
    await this.transport.close();
  }

  async open(overrides: Partial<GrpcPeerTransportOptions> = {}): Promise<void> {
    const log =
      (level: string) =>
      (message: string, fields: LogFields = {}): void =>
        void this.lines.push({ level, message, ...fields });
    this.transport = await GrpcPeerTransport.open({
      runtime: nodeRuntime,
      disk: this.disk,
      random: new NodeRandom(),
      logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      meter: this.registry,
      clusterId,
      memberId: this.id,
      peerUrls: [this.url],
      spoolDirectory: this.spoolDirectory,
      onDefect: (error) => this.defects.push(error),
      ...overrides,
    });
    this.transport.onMessage = (message) => this.received.push(message);
    this.transport.onState = (state) => this.states.push(state);
    this.transport.onUnreachable = (id) => this.unreachable.push(id);
    this.transport.onSendFailed = (id) => this.sendFailures.push(id);
    this.transport.onRemoved = () => void this.removals++;
  }

  /** The value of a counter or gauge, or how often a histogram observed, all series of the name added up. */
  metric(name: string): number {
    const family = this.registry.families.get(name);
    if (family === undefined) return 0;
    let sum = 0;
    if (family.kind === 'histogram') {
      for (const { histogram } of family.series.values()) sum += histogram.count;
      return sum;
    }
    for (const source of family.sources.values()) for (const { value } of source()) sum += value;
    return sum;
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.disk.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
