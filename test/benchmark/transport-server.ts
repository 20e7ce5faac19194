/**
 * A gRPC server whose only method answers a Put at once: what the transport costs without a store behind it.
 *
 *     node test/dist/benchmark/transport-server.js 23790 &
 *     head -c 5 /dev/zero > body.bin        # one empty message
 *     h2load -c 100 -m 1 -n 500000 -d body.bin -H 'content-type: application/grpc' -H 'te: trailers' \
 *       http://127.0.0.1:23790/etcdserverpb.KV/Put
 */
import { GrpcServer, nodeRuntime, openPort } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';

const port = Number(process.argv[2] ?? '0');
const { PutResponse, ResponseHeader } = etcdserverpb;
const answer = PutResponse.encode(
  PutResponse.fromPartial({
    header: ResponseHeader.fromPartial({
      cluster_id: 14_841_639_068_965_178_418n,
      member_id: 10_276_657_743_932_975_437n,
      revision: 123_456n,
      raft_term: 7n,
    }),
  }),
).finish();

const server = new GrpcServer({
  onDefect: (error, where) => process.stderr.write(`${where}: ${String(error)}\n`),
});
server.register('/etcdserverpb.KV/Put', {
  kind: 'unary',
  handle: (_request, call) => call.respond(answer),
});

const listening = await openPort(nodeRuntime, { port }, { http2: (pipe, head) => server.serve(pipe, head) });
process.stdout.write(`listening on 127.0.0.1:${listening.local.port}\n`);

process.once('SIGTERM', () => {
  void Promise.all([listening.close(), server.close()]).then(() => process.exit(0));
});
