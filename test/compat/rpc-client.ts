import { Client, credentials, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { etcdserverpb } from '@conclave/protocol';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** Only a call that a server forgot ever waits this long; its outcome is then code 4. */
const patienceMs = 15_000;

/** What a call gave: the decoded response, or the status. */
export type Outcome<T> = { readonly ok: T } | { readonly code: number; readonly message: string };

/** A plain client of the reference gRPC implementation, so that what is compared is the servers and nothing of ours. */
export class RpcClient {
  private readonly client: Client;

  constructor(address: string) {
    this.client = new Client(address, credentials.createInsecure());
  }

  call<Req, Res>(
    path: string,
    request: Req,
    requestCodec: Codec<Req>,
    responseCodec: Codec<Res>,
  ): Promise<Outcome<Res>> {
    return new Promise((resolve) => {
      this.client.makeUnaryRequest(
        path,
        (message: Req) => Buffer.from(requestCodec.encode(message).finish()),
        (bytes: Buffer) => responseCodec.decode(bytes),
        request,
        { deadline: Date.now() + patienceMs },
        (error: ServiceError | null, response?: Res) => {
          if (error !== null) resolve({ code: error.code, message: error.details });
          else resolve({ ok: response as Res });
        },
      );
    });
  }

  watch(): ClientDuplexStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse> {
    return this.client.makeBidiStreamRequest(
      '/etcdserverpb.Watch/Watch',
      (message: etcdserverpb.WatchRequest) => Buffer.from(etcdserverpb.WatchRequest.encode(message).finish()),
      (bytes: Buffer) => etcdserverpb.WatchResponse.decode(bytes),
    );
  }

  close(): void {
    this.client.close();
  }
}
