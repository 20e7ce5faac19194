import { type etcdserverpb } from '@conclave/protocol';
import { sameUrls } from '../options/initial-cluster.js';
import { type ServerOptions } from '../options/server-options.js';
import { type ClusterView } from '../peer/member-list.js';
import { type AskMembers, type Membership } from './membership.js';

/** This member has no place in the cluster as it is; the message says which and what to do. */
export class MembershipError extends Error {
  override readonly name = 'MembershipError';
}

/** How long a joining member asks: whoever added it may start it before every member has applied that. */
const joinRounds = 20;
const pauseMs = 250;
const askTimeoutMs = 2_000;

/**
 * Finds this member in a running cluster, to which it was added before: it is the one with its peer URLs.
 *
 * @throws MembershipError when nobody answers, or the cluster does not expect this member, or it has run before.
 */
export async function joinCluster(
  options: ServerOptions,
  ask: AskMembers,
  pause: (milliseconds: number) => Promise<void> = sleep,
): Promise<Membership> {
  const urls = [...options.initialMembers]
    .filter(([name]) => name !== options.name)
    .flatMap(([, list]) => list);
  let refusal: MembershipError | undefined;
  let lastError: unknown;
  for (let round = 0; round < joinRounds; round++) {
    if (round > 0) await pause(pauseMs);
    for (const url of urls) {
      try {
        const view = await ask(url, askTimeoutMs);
        const own = findOwn(view, options);
        if (!(own instanceof MembershipError)) return membershipIn(view, own, options);
        refusal = own;
      } catch (error) {
        if (error instanceof MembershipError) throw error;
        lastError = error;
      }
    }
  }
  if (refusal !== undefined) throw refusal;
  throw new MembershipError(
    `cannot join: no member of the cluster answered at ${urls.join(', ')}. Check that they run and that ` +
      '--initial-cluster has their peer URLs.',
    { cause: lastError },
  );
}

/** The own entry; an error when a member that lags behind, or nobody, has it. */
function findOwn(view: ClusterView, options: ServerOptions): etcdserverpb.Member | MembershipError {
  const advertised = options.initialAdvertisePeerUrls.map(({ text }) => text);
  const own = view.members.find(({ peerURLs }) => sameUrls(peerURLs, options.initialAdvertisePeerUrls));
  if (own !== undefined) return own;
  const similar = view.members.find(({ peerURLs }) => peerURLs.some((url) => advertised.includes(url)));
  if (similar !== undefined) {
    return new MembershipError(
      `member ${similar.ID.toString(16)} of the cluster has the peer URLs ${similar.peerURLs.join(',')}, but this member ` +
        `advertises ${advertised.join(',')}. Give --initial-advertise-peer-urls as the cluster has them, or change them ` +
        'there (etcdctl member update).',
    );
  }
  const members = view.members.map(
    ({ name, peerURLs }) => `${name === '' ? '?' : name}=${peerURLs.join(',')}`,
  );
  return new MembershipError(
    `cluster ${view.clusterId.toString(16)} has no member with the peer URLs ${advertised.join(',')}; its members are ` +
      `${members.join(', ')}. Add this one first: etcdctl member add ${options.name} --peer-urls=${advertised.join(',')}`,
  );
}

function membershipIn(view: ClusterView, own: etcdserverpb.Member, options: ServerOptions): Membership {
  const id = own.ID.toString(16);
  if (own.name !== '' || own.clientURLs.length > 0) {
    throw new MembershipError(
      `member ${id} has run before, but --data-dir ${options.dataDir} is empty: what it had promised is lost, so it ` +
        `must not come back under its id. Restore the directory; or remove the member (etcdctl member remove ${id}) and ` +
        `add it anew (etcdctl member add ${options.name} --peer-urls=${own.peerURLs.join(',')}).`,
    );
  }
  const others = view.members.filter(({ ID }) => ID !== own.ID);
  return {
    identity: { clusterId: view.clusterId, memberId: own.ID, clusterToken: options.initialClusterToken },
    foundingMembers: [],
    others: new Map(others.map(({ ID, peerURLs }) => [ID, peerURLs])),
  };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
