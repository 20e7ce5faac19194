import { Buffer } from 'node:buffer';
import { GrpcStatus, type ProtocolError } from '@conclave/protocol';
import {
  type GrpcServer,
  type ServerCall,
  type StreamCall,
  type StreamHandler,
  type StreamServerMethod,
  type UnaryCall,
  type UnaryServerMethod,
} from '@conclave/grpc';
import {
  type MethodTable,
  type RequestContext,
  type RequestStream,
  type ResponseStream,
  type SendFramed,
  type StreamMethod,
  type UnaryMethod,
} from '../engine/requests/method.js';

/** Serves every method of the table on a gRPC server. Messages pass through encoded. */
export function bindMethods(server: GrpcServer, methods: MethodTable): void {
  for (const [path, method] of methods) {
    server.register(path, method.kind === 'unary' ? unaryMethod(method) : streamMethod(method));
  }
}

/** A caller as the engine sees it; metadata is looked at only when asked for. */
class GrpcContext {
  constructor(private readonly call: ServerCall) {}

  get token(): string | undefined {
    return this.call.metadata.get('token') ?? this.call.metadata.get('authorization');
  }

  get requireLeader(): boolean {
    return this.call.metadata.get('hasleader') === 'true';
  }
}

/** What the engine sets as `onCancel` goes straight to the call, so that most calls need no function of their own. */
class UnaryContext extends GrpcContext implements RequestContext {
  constructor(private readonly unaryCall: UnaryCall) {
    super(unaryCall);
  }

  get onCancel(): (() => void) | undefined {
    return this.unaryCall.onCancel;
  }

  set onCancel(callback: (() => void) | undefined) {
    this.unaryCall.onCancel = callback;
  }
}

/** The end of a streaming caller is told to its RequestStream. */
class StreamContext extends GrpcContext implements RequestContext {
  onCancel: (() => void) | undefined = undefined;
}

function unaryMethod(method: UnaryMethod): UnaryServerMethod {
  const readsAtOnce = method.readsAtOnce === true;
  return {
    kind: 'unary',
    handle(received, call) {
      const request = readsAtOnce ? received : Buffer.from(received);
      method.call(request, new UnaryContext(call), (error, response) => {
        if (error !== undefined) call.fail(error.code, error.message);
        else if (response !== undefined) call.respond(response);
        else call.fail(GrpcStatus.Internal, 'the method gave neither an answer nor an error');
      });
    },
  };
}

function streamMethod(method: StreamMethod): StreamServerMethod {
  return { kind: 'stream', open: (call) => new OpenStream(method, call) };
}

class OpenStream implements StreamHandler, ResponseStream {
  onDrain: (() => void) | undefined;
  readonly sendFramed: SendFramed | undefined;
  private readonly requests: RequestStream;

  constructor(
    method: StreamMethod,
    private readonly call: StreamCall,
  ) {
    call.onDrain = () => this.onDrain?.();
    this.sendFramed = call.takesFrames
      ? (chunk, messages, lender) => call.sendFramed(chunk, messages, lender)
      : undefined;
    this.requests = method.open(new StreamContext(call), this);
  }

  send(message: Uint8Array): boolean {
    return this.call.send(message);
  }

  end(error?: ProtocolError): void {
    if (error === undefined) this.call.end();
    else this.call.fail(error.code, error.message);
  }

  message(request: Uint8Array): void {
    // What was received is valid during the call only.
    this.requests.message(Buffer.from(request));
  }

  halfClose(): void {
    this.requests.halfClose();
  }

  cancel(): void {
    this.requests.cancel();
  }
}
