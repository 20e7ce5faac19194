import { createServer, type Server } from 'node:http';
import {
  GrpcServer,
  type GrpcServerOptions,
  GrpcStatus,
  nodeRuntime,
  openPort,
  type Port,
  type PortOptions,
  releaseSocket,
  type StreamCall,
  type StreamHandler,
} from '@conclave/grpc';

/** What happened inside of the methods, for tests that look at the server's side. */
export interface Observed {
  cancelled: number;
  readonly defects: unknown[];
  /** Calls of /interop.T/Wait and /interop.T/Hold that were opened; a test may wait for the next. */
  onOpened: (() => void) | undefined;
  onCancelled: (() => void) | undefined;
}

/** Our server with test methods, its port, and Node's HTTP/1.1 server behind the same port. */
export interface TestServer {
  readonly grpc: GrpcServer;
  readonly port: Port;
  readonly address: string;
  readonly observed: Observed;
  close(): Promise<void>;
}

function collect(call: StreamCall): StreamHandler {
  const parts: Uint8Array[] = [];
  return {
    message: (request) => parts.push(new Uint8Array(request)),
    halfClose: () => {
      call.send(Buffer.concat(parts));
      call.end();
    },
    cancel: () => {},
  };
}

/** Sends as many messages as the request says, of the length that it says. */
function produce(call: StreamCall): StreamHandler {
  let left = 0;
  let size = 0;
  const pump = (): void => {
    while (left > 0) {
      left--;
      if (!call.send(Buffer.alloc(size, left & 0xff))) return;
    }
    call.end();
  };
  call.onDrain = pump;
  return {
    message: (request) => {
      [left, size] = Buffer.from(request).toString().split(' ').map(Number) as [number, number];
      pump();
    },
    halfClose: () => {},
    cancel: () => {},
  };
}

function echo(call: StreamCall): StreamHandler {
  return {
    message: (request) => {
      if (!call.send(new Uint8Array(request))) call.pause();
      call.onDrain = () => call.resume();
    },
    halfClose: () => call.end(),
    cancel: () => {},
  };
}

function registerMethods(grpc: GrpcServer, observed: Observed): void {
  const cancelled = (): void => {
    observed.cancelled++;
    observed.onCancelled?.();
  };
  grpc.register('/interop.T/Echo', {
    kind: 'unary',
    handle: (request, call) => call.respond(new Uint8Array(request)),
  });
  grpc.register('/interop.T/Metadata', {
    kind: 'unary',
    handle: (_, call) => {
      const binary = call.metadata.getAllBinary('x-bin').map((bytes) => [...bytes]);
      call.respond(Buffer.from(JSON.stringify({ text: call.metadata.getAll('x-text'), binary })));
    },
  });
  grpc.register('/interop.T/Fail', {
    kind: 'unary',
    handle: (_, call) =>
      call.fail(GrpcStatus.FailedPrecondition, 'нет: 100%\n', { 'why-bin': Buffer.from([0, 255]) }),
  });
  grpc.register('/interop.T/Wait', {
    kind: 'unary',
    handle: (_, call) => {
      call.onCancel = cancelled;
      observed.onOpened?.();
    },
  });
  grpc.register('/interop.T/Collect', { kind: 'stream', open: collect });
  grpc.register('/interop.T/Produce', { kind: 'stream', open: produce });
  grpc.register('/interop.T/EchoStream', { kind: 'stream', open: echo });
  grpc.register('/interop.T/Hold', {
    kind: 'stream',
    open: (call) => {
      call.sendHeaders();
      observed.onOpened?.();
      return { message: () => {}, halfClose: () => {}, cancel: cancelled };
    },
  });
  grpc.register('/interop.T/FailLate', {
    kind: 'stream',
    open: (call) => {
      call.send(Buffer.from('one'));
      call.fail(GrpcStatus.Aborted, 'after one');
      return { message: () => {}, halfClose: () => {}, cancel: () => {} };
    },
  });
}

/** Answers over HTTP/1.1 and over HTTP/2 without gRPC alike: method, path and the length of the body. */
function describeRequest(version: string, method: string, path: string, octets: number): string {
  return `${version} ${method} ${path} ${octets}\n`;
}

function startHttp1(): Server {
  return createServer((request, response) => {
    let octets = 0;
    request.on('data', (chunk: Buffer) => (octets += chunk.length));
    request.on('end', () => {
      response.end(describeRequest('1.1', request.method ?? '', request.url ?? '', octets));
    });
  });
}

export async function startServer(
  options: GrpcServerOptions = {},
  portOptions: PortOptions = {},
): Promise<TestServer> {
  const observed: Observed = { cancelled: 0, defects: [], onOpened: undefined, onCancelled: undefined };
  const grpc = new GrpcServer({
    onDefect: (error) => observed.defects.push(error),
    onHttp2Request: (exchange) => {
      void exchange.readBody(1 << 20).then((body) => {
        const text = describeRequest('2', exchange.method, exchange.path, body.length);
        return exchange.respond(200, { 'content-type': 'text/plain' }, Buffer.from(text));
      });
    },
    ...options,
  });
  registerMethods(grpc, observed);
  const http1 = startHttp1();
  const port = await openPort(nodeRuntime, portOptions, {
    http2: (pipe, head) => grpc.serve(pipe, head),
    http1: (pipe, head) => http1.emit('connection', releaseSocket(pipe, head)),
  });
  return {
    grpc,
    port,
    address: `127.0.0.1:${port.local.port}`,
    observed,
    close: async () => {
      http1.closeAllConnections();
      await Promise.all([port.close(), grpc.close()]);
    },
  };
}
