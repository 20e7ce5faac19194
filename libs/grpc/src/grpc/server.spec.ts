import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../http2/error-code.js';
import { GrpcStatus } from '../status.js';
import { GrpcPair, string, text } from '../testing/grpc-pair.js';
import { FrameKind, preface, RawClient, rawFrame, rawHeaderBlock, rawRequestBlock } from '../testing/raw-client.js';
import { createMemoryPipePair } from '../transport/memory-pipe.js';
import { GrpcServer } from './server.js';
import { type GrpcServerOptions } from './server-options.js';

const settings = rawFrame(FrameKind.SETTINGS, 0, 0);
const oneMessage = rawFrame(FrameKind.DATA, 1, 1, Buffer.from([0, 0, 0, 0, 1, 0x61]));

interface Raw {
  readonly pair: GrpcPair;
  readonly client: RawClient;
}

async function connect(options: GrpcServerOptions = {}): Promise<Raw> {
  const pair = await GrpcPair.create(options);
  const [near, far] = createMemoryPipePair(pair.runtime);
  pair.server.serve(far);
  return { pair, client: new RawClient(near) };
}

/** The literal texts of a header block of our server, good enough to look for a value in it. */
function headersOn(client: RawClient, streamId: number): string {
  return client.frames
    .filter((frame) => frame.type === FrameKind.HEADERS && frame.streamId === streamId)
    .map((frame) => frame.payload.toString('latin1'))
    .join('\n');
}

describe('requests that are no proper calls', () => {
  async function statusOf(block: Buffer): Promise<{ code: number; message: string; httpStatus: string }> {
    const { pair, client } = await connect();
    const seen = { code: -1, message: '', httpStatus: '' };
    const probe = await GrpcPair.create();
    void probe;
    client.send(preface, settings, rawFrame(FrameKind.HEADERS, 4, 1, block), oneMessage);
    await pair.runtime.settle();
    const decoded = decodeHeaders(client, 1);
    seen.code = Number(decoded.get('grpc-status'));
    seen.message = decoded.get('grpc-message') ?? '';
    seen.httpStatus = decoded.get(':status') ?? '';
    return seen;
  }

  it('answers 415 when the content is no gRPC and nobody takes HTTP', async () => {
    const block = rawHeaderBlock(':method', 'POST', ':scheme', 'http', ':path', '/t.T/Echo', ':authority', 't');
    expect((await statusOf(block)).httpStatus).toBe('415');
  });
});

function decodeHeaders(client: RawClient, streamId: number): Map<string, string> {
  return new Map([[':status', headersOn(client, streamId)]]);
}
