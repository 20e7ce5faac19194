export * from './status.js';
export * from './runtime.js';
export * from './node-runtime.js';
export * from './transport/pipe.js';
export * from './transport/memory-pipe.js';
export * from './transport/port.js';
export { type KeepaliveOptions } from './transport/keepalive.js';
export * from './http2/error-code.js';
export { type ConnectionOptions } from './http2/options.js';
export { type CloseReason } from './http2/events.js';
export { type Lender } from './http2/lender.js';
export * from './grpc/metadata.js';
export * from './grpc/service.js';
export * from './grpc/error.js';
export * from './grpc/channel.js';
export { type CallOptions, type GrpcChannelOptions } from './grpc/channel-options.js';
export { type ClientStream } from './grpc/client-stream.js';
export { type UnaryResult } from './grpc/unary-client-call.js';
export * from './grpc/server.js';
export { type GrpcServerOptions } from './grpc/server-options.js';
export { type HeaderCount } from './grpc/header-counts.js';
export { type MethodStats, type ServerStats } from './grpc/server-stats.js';
export {
  BodyTooLargeError,
  ExchangeAbortedError,
  type HttpExchange,
  type RequestHeaders,
  type ResponseHeaders,
} from './grpc/http-exchange.js';
