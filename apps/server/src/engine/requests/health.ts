import { GrpcStatus, healthpb, ProtocolError } from '@conclave/protocol';
import { decodeRequest } from './decode.js';
import type { Method, MethodTable, StreamMethod } from './method.js';
import { unary } from './unary.js';

const serving = healthpb.HealthCheckResponse.encode({
  status: healthpb.HealthCheckResponse_ServingStatus.SERVING,
}).finish();
const unknownService = healthpb.HealthCheckResponse.encode({
  status: healthpb.HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN,
}).finish();

/**
 * The gRPC health protocol (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Only the server as a
 * whole is registered, under the name "".
 */
export function healthMethods(): MethodTable {
  const check = unary((bytes, reply) => {
    const { service } = decodeRequest(healthpb.HealthCheckRequest, bytes);
    if (service !== '')
      return reply(ProtocolError.unnamed(GrpcStatus.NotFound, 'unknown service'), undefined);
    reply(undefined, serving);
  });
  const watch: StreamMethod = {
    kind: 'stream',
    open: (_context, responses) => ({
      message(bytes) {
        const { service } = decodeRequest(healthpb.HealthCheckRequest, bytes);
        responses.send(service === '' ? serving : unknownService);
      },
      halfClose() {},
      cancel() {},
    }),
  };
  return new Map<string, Method>([
    ['/grpc.health.v1.Health/Check', check],
    ['/grpc.health.v1.Health/Watch', watch],
  ]);
}
