import { Buffer } from 'node:buffer';
import { GrpcChannel } from '../grpc/channel.js';
import { type GrpcChannelOptions } from '../grpc/channel-options.js';
import { GrpcServer } from '../grpc/server.js';
import { type GrpcServerOptions } from '../grpc/server-options.js';
import { type StreamCall, type StreamHandler, type UnaryCall } from '../grpc/service.js';
import { openPort, type Port } from '../transport/port.js';
import { VirtualRuntime } from './virtual-runtime.js';

export const text = (value: string): Uint8Array => Buffer.from(value);
export const string = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** What the recording methods of {@link GrpcPair} saw. */
export interface RecordedStream {
  readonly call: StreamCall;
  readonly messages: string[];
  halfClosed: boolean;
  cancelled: boolean;
}

/** A server and a channel to it on virtual time, with methods that only record and leave the answer to the test. */
export class GrpcPair {
  readonly runtime = new VirtualRuntime();
  readonly server: GrpcServer;
  readonly channel: GrpcChannel;
  readonly unaryCalls: UnaryCall[] = [];
  readonly unaryRequests: string[] = [];
  readonly streams: RecordedStream[] = [];
  readonly defects: unknown[] = [];
  /** Called for each message of a stream, if set. */
  onStreamMessage: ((stream: RecordedStream, message: string) => void) | undefined;

  private constructor(serverOptions: GrpcServerOptions, channelOptions: Partial<GrpcChannelOptions>) {
    this.server = new GrpcServer(
      { onDefect: (error) => this.defects.push(error), ...serverOptions },
      this.runtime,
    );
    this.server.register('/t.T/Echo', {
      kind: 'unary',
      handle: (request, call) => call.respond(new Uint8Array(request)),
    });
    this.server.register('/t.T/Wait', {
      kind: 'unary',
      handle: (request, call) => {
        this.unaryRequests.push(string(request));
        this.unaryCalls.push(call);
      },
    });
    this.server.register('/t.T/Throw', {
      kind: 'unary',
      handle: () => {
        throw new Error('a defect');
      },
    });
    this.server.register('/t.T/Stream', { kind: 'stream', open: (call) => this.#record(call) });
    this.channel = new GrpcChannel(
      {
        target: { host: 'server', port: 2379 },
        onDefect: (error) => this.defects.push(error),
        ...channelOptions,
      },
      this.runtime,
    );
  }

  static async create(
    serverOptions: GrpcServerOptions = {},
    channelOptions: Partial<GrpcChannelOptions> = {},
  ): Promise<GrpcPair> {
    const pair = new GrpcPair(serverOptions, channelOptions);
    await pair.listen();
    return pair;
  }

  listen(): Promise<Port> {
    return openPort(this.runtime, { port: 2379 }, { http2: (pipe, head) => this.server.serve(pipe, head) });
  }

  #record(call: StreamCall): StreamHandler {
    const stream: RecordedStream = { call, messages: [], halfClosed: false, cancelled: false };
    this.streams.push(stream);
    return {
      message: (request) => {
        stream.messages.push(string(request));
        this.onStreamMessage?.(stream, string(request));
      },
      halfClose: () => {
        stream.halfClosed = true;
      },
      cancel: () => {
        stream.cancelled = true;
      },
    };
  }

  /** Runs everything that needs no time and gives the settled result. */
  async outcome<T>(promise: Promise<T>): Promise<T> {
    // The rejection is observed here already, so it is never unhandled while things settle.
    promise.catch(() => {});
    await this.runtime.settle();
    const pending = Symbol('pending');
    const settled = await Promise.race([promise, Promise.resolve(pending)]);
    if (settled === pending) throw new Error('the promise is still pending');
    return settled as T;
  }
}
