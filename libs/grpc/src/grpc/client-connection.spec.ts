import { describe, expect, it } from 'vitest';
import { VirtualRuntime } from '../testing/virtual-runtime.js';
import { FrameKind, RawClient, rawFrame } from '../testing/raw-client.js';
import { createMemoryPipePair } from '../transport/memory-pipe.js';
import { TurnFlusher } from '../transport/turn-flusher.js';
import { resolveChannelOptions } from './channel-options.js';
import { type ClientCall } from './client-call.js';
import { ClientConnection, type ClientConnectionOwner } from './client-connection.js';

describe('client connection', () => {
  it('retires before its stream identifiers end', async () => {
    const runtime = new VirtualRuntime();
    const [near, far] = createMemoryPipePair(runtime);
    const server = new RawClient(far, true);
    const told: string[] = [];
    const ignore = (): void => {};
    const owner: ClientConnectionOwner = {
      connectionReady: () => told.push('ready'),
      connectionDraining: (_, reason) => told.push(reason),
      connectionHasRoom: ignore,
      connectionOver: ignore,
      connectionGone: ignore,
      defect: (error) => told.push(String(error)),
    };
    const { drive } = resolveChannelOptions({ target: { port: 1 } });
    const connection = new ClientConnection(owner, runtime, near, new TurnFlusher(runtime), drive);
    server.send(rawFrame(FrameKind.SETTINGS, 0, 0));
    await runtime.settle();
    // Opening 2^30 streams takes too long; the counter of the core is moved instead.
    const { core } = connection.connection as unknown as { core: { nextStreamId: number } };
    core.nextStreamId = 0x7fff_0001;
    const call = { end: ignore } as unknown as ClientCall;
    const stream = connection.openStream(call, [':method', 'POST', ':scheme', 'http', ':path', '/'], []);
    await runtime.settle();
    expect(stream.closed).toBe(false);
    expect(connection.canOpenStream).toBe(false);
    expect(told).toEqual(['ready', 'its stream identifiers are used up']);
    expect(server.goaway?.code).toBe(0);
  });
});
