import { GrpcStatus } from '../status.js';
import { type CallPlan, ClientCall, type ClientCallHost } from './client-call.js';
import { GrpcError } from './error.js';
import { type IncomingMetadata } from './metadata.js';

/** The answer of a unary call that went well. */
export interface UnaryResult {
  readonly message: Uint8Array;
  readonly headers: IncomingMetadata;
  readonly trailers: IncomingMetadata;
}

/** A unary call of a client. */
export class UnaryClientCall extends ClientCall {
  #answer: Uint8Array | undefined;

  constructor(
    host: ClientCallHost,
    plan: CallPlan,
    private readonly request: Uint8Array,
    private readonly resolve: (result: UnaryResult) => void,
    private readonly reject: (error: GrpcError) => void,
  ) {
    super(host, plan);
  }

  override writable(): void {}

  protected override started(): void {
    this.sendMessage(this.request, true);
  }

  protected override notifyHeaders(): void {}

  protected override notifyMessage(message: Uint8Array): void {
    if (this.#answer === undefined) this.#answer = new Uint8Array(message);
    else
      this.abort(
        new GrpcError(GrpcStatus.Internal, 'cardinality violation: received more than one answer message'),
      );
  }

  protected override notifyEnd(error: GrpcError | undefined, trailers: IncomingMetadata | undefined): void {
    const headers = this.responseMetadata;
    if (error !== undefined) {
      this.reject(error);
    } else if (this.#answer === undefined || headers === undefined || trailers === undefined) {
      this.reject(new GrpcError(GrpcStatus.Internal, 'cardinality violation: received no answer message'));
    } else {
      this.resolve({ message: this.#answer, headers, trailers });
    }
  }
}
