import { GrpcChannel } from '@conclave/grpc';

const timeoutMs = 1_000;

/** Calls to one member that may come and go: a connection that broke is made anew with the next call. */
export class MemberChannel {
  private channel: GrpcChannel | undefined;

  constructor(private readonly address: string) {}

  async call(path: string, message: Uint8Array): Promise<Uint8Array> {
    if (this.channel?.state === 'disconnected') await this.close();
    this.channel ??= this.open();
    return (await this.channel.unary(path, message, { timeoutMs })).message;
  }

  async close(): Promise<void> {
    const { channel } = this;
    this.channel = undefined;
    await channel?.close();
  }

  private open(): GrpcChannel {
    const [host, port] = this.address.split(':');
    return new GrpcChannel({ target: { host, port: Number(port) } });
  }
}
