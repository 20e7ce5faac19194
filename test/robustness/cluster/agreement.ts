import { type MemberProcess } from '../../members/member-process.js';
import { everything, foundKey, MemberClient, revisionOf } from '../traffic/member-client.js';
import { delay, within } from '../traffic/within.js';
import { describeKey, isSameKey } from '../history/store-model.js';
import { type Snapshot } from '../history/operation.js';
import { etcdserverpb } from '@conclave/protocol';
import { GrpcError, GrpcStatus } from '@conclave/grpc';

/** What every member has by itself, read serializably from each. */
export interface Agreement {
  readonly snapshots: readonly Snapshot[];
  readonly violations: readonly string[];
}

interface View {
  readonly name: string;
  readonly client: MemberClient;
}

/**
 * While nobody writes: every member applies what is committed, and then has the same keys and the same hash at the same
 * revision.
 *
 * @param round What the findings are called by.
 */
export async function agree(members: readonly MemberProcess[], round: string): Promise<Agreement> {
  const views = members.map((member) => ({ name: member.name, client: new MemberClient(member) }));
  try {
    const revision = await within(untilLevel(views), `${round}: the members to have the same revision`);
    const snapshots = await Promise.all(views.map((view) => snapshotOf(view, revision, round)));
    return {
      snapshots,
      violations: [...differences(snapshots), ...(await hashDifferences(views, revision))],
    };
  } finally {
    await Promise.all(views.map(({ client }) => client.close()));
  }
}

/** The revision at which all members are, each having applied all that any of them knew to be committed. */
async function untilLevel(views: readonly View[]): Promise<number> {
  const before = await Promise.all(views.map(({ client }) => client.status()));
  const committed = before.reduce((most, { raftIndex }) => (raftIndex > most ? raftIndex : most), 0n);
  for (;;) {
    const status = await Promise.all(views.map(({ client }) => client.status()));
    const revisions = new Set(status.map(revisionOf));
    if (revisions.size === 1 && status.every(({ raftAppliedIndex }) => raftAppliedIndex >= committed))
      return revisionOf(status[0]);
    await delay(20);
  }
}

async function snapshotOf({ name, client }: View, revision: number, round: string): Promise<Snapshot> {
  const { kvs } = await client.range({ ...everything, revision: BigInt(revision), serializable: true });
  return { taken: `${round} from ${name}`, revision, keys: kvs.map(foundKey) };
}

function differences([first, ...others]: readonly Snapshot[]): string[] {
  return others.flatMap((other) => {
    for (let place = 0; place < Math.max(first.keys.length, other.keys.length); place++) {
      const [one, two] = [first.keys[place], other.keys[place]];
      if (isSameKey(one, two)) continue;
      return `at revision ${first.revision} ${first.taken} has ${describeKey(one)}, ${other.taken} ${describeKey(two)}`;
    }
    return [];
  });
}

/** Hashes of members that have compacted to the same revision are the same. */
async function hashDifferences(views: readonly View[], revision: number): Promise<string[]> {
  const request = { revision: BigInt(revision) };
  const { HashKVRequest, HashKVResponse } = etcdserverpb;
  const answers = await Promise.all(
    views.map(async ({ name, client }) => {
      const answer = client.call('Maintenance/HashKV', request, HashKVRequest, HashKVResponse);
      return { name, answer: await answer.catch(unlessUnknown) };
    }),
  );
  const hashes = new Map<bigint, { name: string; hash: number }>();
  return answers.flatMap(({ name, answer }) => {
    if (answer === undefined) return [];
    const known = hashes.get(answer.compact_revision);
    if (known === undefined) hashes.set(answer.compact_revision, { name, hash: answer.hash });
    if (known === undefined || known.hash === answer.hash) return [];
    return `the hash of ${name} at revision ${revision} is ${answer.hash}, that of ${known.name} is ${known.hash}`;
  });
}

/** A member may not know the method. */
function unlessUnknown(error: unknown): undefined {
  if (error instanceof GrpcError && error.code === GrpcStatus.Unimplemented) return undefined;
  throw error;
}
