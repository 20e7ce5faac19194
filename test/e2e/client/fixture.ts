import { type ClientOptions, type ConclaveClient, createClient } from '@conclave/client';
import { MemberProcess, type MemberKind, type MemberProcessOptions } from '../../members/member-process.js';

/** One running member and the clients of it; everything is ended by `end`. */
export class Fixture {
  private readonly clients: ConclaveClient[] = [];

  private constructor(readonly member: MemberProcess) {}

  static async start(kind: MemberKind, options: MemberProcessOptions = {}): Promise<Fixture> {
    const member = await MemberProcess.create(kind, options);
    await member.start();
    return new Fixture(member);
  }

  get address(): string {
    return this.member.address;
  }

  client(options: Partial<ClientOptions> = {}): ConclaveClient {
    const client = createClient({ endpoints: [this.member.url], ...options });
    this.clients.push(client);
    return client;
  }

  /** Ends the member as a crash does, and starts it again on the same data. */
  async crashAndRestart(whileDown: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.member.stop('SIGKILL');
    await whileDown();
    await this.member.start();
  }

  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close({ drain: '2s' })));
    await this.member.remove();
  }
}
