import { readFileSync } from 'node:fs';
import { MemberProcess, type MemberKind } from '../members/member-process.js';

export type TargetName = MemberKind;

/** A member under measurement. */
export class Target {
  private constructor(
    readonly name: TargetName,
    private readonly member: MemberProcess,
  ) {}

  static async create(name: TargetName): Promise<Target> {
    return new Target(
      name,
      await MemberProcess.create(name, { flags: ['--quota-backend-bytes=8589934592'] }),
    );
  }

  get url(): string {
    return this.member.url;
  }

  get address(): string {
    return this.member.address;
  }

  get pid(): number {
    return this.member.pid;
  }

  /** Starts the process; resolves with the milliseconds until it said that it serves clients. */
  async start(): Promise<number> {
    const started = performance.now();
    await this.member.start();
    return performance.now() - started;
  }

  stop(): Promise<void> {
    return this.member.stop('SIGTERM');
  }

  remove(): Promise<void> {
    return this.member.remove();
  }

  /** Value of one metric without labels, or undefined. */
  async metric(name: string): Promise<number | undefined> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  /** Memory of the process in bytes: all that is resident, and the part of it that no file backs. */
  memory(): { readonly resident: number; readonly anonymous: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const kilobytes = (field: string): number =>
      Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
    return { resident: kilobytes('VmRSS') * 1024, anonymous: kilobytes('RssAnon') * 1024 };
  }
}
