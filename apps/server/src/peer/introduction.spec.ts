import { GrpcChannel, GrpcError, GrpcStatus, type MetadataEntries } from '@conclave/grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeGreeting, encodeGreeting, metadataOf, peerPaths, refusalCauseOf } from './introduction.js';
import { clusterId, TestMember } from './testing/test-member.js';

let member: TestMember;
let channel: GrpcChannel;

beforeEach(async () => {
  member = await TestMember.start(2n);
  channel = new GrpcChannel({ target: { host: '127.0.0.1', port: member.port } });
});

afterEach(async () => {
  await channel.close();
  await member.remove();
});

/** How a stream with this metadata is answered: with a greeting, or with the cause and status of a refusal. */
function answerTo(metadata: MetadataEntries, path: string = peerPaths.messages): Promise<unknown> {
  return new Promise((resolve) => {
    const stream = channel.stream(path, { metadata });
    stream.onMessage = (bytes) => resolve(decodeGreeting(bytes));
    stream.onEnd = (error) => resolve([refusalCauseOf(error?.metadata), error?.code]);
  });
}

const proper = { clusterId, from: 1n, to: 2n, peerUrls: ['http://127.0.0.1:1'], lane: 'urgent' } as const;

describe('the introduction of a member', () => {
  it('is answered with who this member is', async () => {
    expect(await answerTo(metadataOf(proper))).toEqual({ clusterId, memberId: 2n });
    expect(decodeGreeting(encodeGreeting({ clusterId: 2n ** 64n - 1n, memberId: 3n }))).toEqual({
      clusterId: 2n ** 64n - 1n,
      memberId: 3n,
    });
  });

  it('is refused with its cause, on every kind of stream', async () => {
    const long = Array.from({ length: 17 }, () => 'http://127.0.0.1:1');
    const cases: readonly (readonly [MetadataEntries, string, GrpcStatus])[] = [
      [metadataOf({ ...proper, clusterId: 5n }), 'cluster', GrpcStatus.FailedPrecondition],
      [metadataOf({ ...proper, to: 3n }), 'receiver', GrpcStatus.FailedPrecondition],
      [metadataOf({ ...proper, from: 2n }), 'own-id', GrpcStatus.FailedPrecondition],
      [metadataOf({ ...proper, from: 9n, peerUrls: [] }), 'unknown', GrpcStatus.FailedPrecondition],
      [metadataOf({ ...proper, from: 9n, peerUrls: ['no url'] }), 'unknown', GrpcStatus.FailedPrecondition],
      [metadataOf({ ...proper, peerUrls: long }), 'malformed', GrpcStatus.InvalidArgument],
      [metadataOf({ ...proper, from: 0n }), 'malformed', GrpcStatus.InvalidArgument],
      [{ ...metadataOf(proper), 'conclave-peer-protocol': '2' }, 'protocol', GrpcStatus.FailedPrecondition],
      [{ ...metadataOf(proper), 'conclave-from': 'x' }, 'malformed', GrpcStatus.InvalidArgument],
      [{ ...metadataOf(proper), 'conclave-lane': 'x' }, 'malformed', GrpcStatus.InvalidArgument],
      [{}, 'protocol', GrpcStatus.FailedPrecondition],
    ];
    for (const [metadata, cause, code] of cases) {
      expect([metadata, await answerTo(metadata)]).toEqual([metadata, [cause, code]]);
      expect([metadata, await answerTo(metadata, peerPaths.state)]).toEqual([metadata, [cause, code]]);
    }
    expect(member.received).toEqual([]);
    expect(member.defects).toEqual([]);
  });

  it('of many members that nobody knows costs a bounded number of connections', async () => {
    for (let from = 100n; from < 150n; from++) {
      expect(await answerTo(metadataOf({ ...proper, from }))).toEqual({ clusterId, memberId: 2n });
    }
    expect(member.transport.strangerCount).toBe(16);
  });

  it('is not needed to learn who the members are, but there must be an answer', async () => {
    const ask = async (): Promise<unknown> =>
      channel.unary(peerPaths.members, new Uint8Array(0)).then(
        ({ message }) => Buffer.from(message).toString(),
        (error: unknown) => (error instanceof GrpcError ? error.code : error),
      );
    expect(await ask()).toBe(GrpcStatus.Unavailable);
    member.transport.listMembers = () => Promise.resolve(Buffer.from('members'));
    expect(await ask()).toBe('members');
  });
});
