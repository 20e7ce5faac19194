import { Buffer } from 'node:buffer';
import { etcdserverpb } from '@conclave/protocol';
import { expect } from 'vitest';
import type { EngineOptions, FoundingMember } from '../../engine-options.js';
import { ManualClock } from '../../platform/manual-clock.js';
import { type Call, TestMember } from './test-member.js';
import { TestNetwork } from './test-network.js';

/** Several members with the production engine, in one process, on one clock that moves only when it is told to. */
export class TestCluster {
  readonly clock = new ManualClock();
  readonly network = new TestNetwork(this.clock);
  readonly members = new Map<bigint, TestMember>();

  /** Founds a cluster of `size` members with ids 1, 2, … and waits until all are ready. */
  static async found(size: number, overrides: Partial<EngineOptions> = {}): Promise<TestCluster> {
    const cluster = new TestCluster();
    const founders: FoundingMember[] = [];
    for (let id = 1n; id <= BigInt(size); id++) {
      founders.push({ id, name: `m${id}`, peerUrls: [`http://peer-${id}`] });
    }
    for (const { id, peerUrls } of founders) cluster.add(id, peerUrls[0], overrides);
    const started = [...cluster.members.values()].map((member) => member.start(founders));
    await cluster.until(() => [...cluster.members.values()].every(({ engine }) => engine !== undefined));
    await Promise.all(started);
    await cluster.allReady();
    return cluster;
  }

  add(id: bigint, peerUrl: string, overrides: Partial<EngineOptions> = {}): TestMember {
    const member = new TestMember(id, peerUrl, this.clock, this.network, overrides);
    this.members.set(id, member);
    return member;
  }

  /** Starts a member that was killed, or one that joins. */
  async restart(member: TestMember, once: Partial<EngineOptions> = {}): Promise<void> {
    const started = member.start([], once);
    await this.until(() => member.engine !== undefined);
    await started;
  }

  member(id: bigint): TestMember {
    const member = this.members.get(id);
    expect(member).toBeDefined();
    return member!;
  }

  /** The member that leads, in its own opinion and that of a majority. */
  get leader(): TestMember {
    const leader = this.findLeader();
    expect(leader).toBeDefined();
    return leader!;
  }

  get followers(): TestMember[] {
    const { leader } = this;
    return [...this.members.values()].filter((member) => member !== leader && member.engine !== undefined);
  }

  /** Moves the time forward in steps, and lets promises go on in between. */
  async run(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    while (this.clock.now() < until) {
      this.clock.advance(Math.min(5, until - this.clock.now()));
      await breath();
    }
  }

  /** Moves the time forward until the condition holds. */
  async until(condition: () => boolean, limitMs = 20_000): Promise<void> {
    const end = this.clock.now() + limitMs;
    while (!condition()) {
      if (this.clock.now() >= end)
        expect.fail(`after ${limitMs} ms it still does not hold: ${condition.toString()}`);
      await this.run(5);
    }
  }

  async untilLeader(): Promise<TestMember> {
    await this.until(() => this.findLeader() !== undefined);
    return this.leader;
  }

  async answered<T>(call: Call<T>): Promise<Call<T>> {
    await this.until(() => call.isDone);
    return call;
  }

  put(member: TestMember, key: string, value = 'v', lease = 0n): Call<etcdserverpb.PutResponse> {
    const request = { key: Buffer.from(key), value: Buffer.from(value), lease };
    const full = etcdserverpb.PutRequest.fromPartial(request);
    return member.call('KV/Put', etcdserverpb.PutRequest, full, etcdserverpb.PutResponse);
  }

  get(member: TestMember, key: string, serializable = false): Call<etcdserverpb.RangeResponse> {
    const request = etcdserverpb.RangeRequest.fromPartial({ key: Buffer.from(key), serializable });
    return member.call('KV/Range', etcdserverpb.RangeRequest, request, etcdserverpb.RangeResponse);
  }

  /** Value and version of a key as a member has it; undefined when it has none. */
  async read(member: TestMember, key: string): Promise<string | undefined> {
    const { answer, error } = await this.answered(this.get(member, key));
    expect(error).toBeUndefined();
    const kv = answer!.kvs[0];
    return kv === undefined ? undefined : `${kv.value.toString()}@${kv.version}`;
  }

  private findLeader(): TestMember | undefined {
    const running = [...this.members.values()].filter(({ engine }) => engine !== undefined);
    const votes = running.map(({ engine }) => engine!.state.leader());
    return running.find(({ id }) => 2 * votes.filter((vote) => vote === id).length > running.length);
  }

  private async allReady(): Promise<void> {
    const ready = Promise.all([...this.members.values()].map(({ engine }) => engine!.ready));
    let isReady = false;
    void ready.then(() => (isReady = true));
    await this.until(() => isReady);
  }
}

/** Lets everything that waits for nothing but its turn go on. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
