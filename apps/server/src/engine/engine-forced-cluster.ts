import { etcdserverpb } from '@conclave/protocol';
import { Chains } from './apply/chains.js';
import { ClusterState } from './apply/cluster-state.js';
import { CommandKind, encodeCommand, Proposer } from './apply/command.js';
import { confChangeOf, type MembershipKind } from './apply/membership.js';
import type { Backend } from './backend/backend.js';
import { StorageMismatchError } from './engine-errors.js';
import type { Logger } from './platform/logger.js';
import type { Random } from './platform/random.js';
import { applyChange } from './raft/confchange/apply-change.js';
import { type ConfChange, decodeConfChange, encodeConfChange } from './raft/confchange/conf-change.js';
import type { ConfState, Entry, MemberId } from './raft/message.js';
import type { RecoveredState } from './raft/raw-node.js';
import type { Wal } from './wal/wal.js';

/** What it needs of the outside world. */
interface ForcingPlatform {
  readonly random: Random;
  readonly logger: Logger;
}

const noBytes = new Uint8Array(0);

/**
 * Makes the survivor of a cluster that lost its majority for good the only member, by order of whoever runs it
 * (`--force-new-cluster`). All that its log holds counts as committed, for among the newest entries may be some that
 * were acknowledged and of which this member did not hear that they were committed. Behind them come changes of the
 * members, also committed, in a term of their own: leave a joint configuration, promote this member if it is a learner,
 * remove everybody else. They take effect as any change does, so former members are refused like removed ones.
 *
 * One record of the log does it, durably: a crash leaves the old log or the new one.
 *
 * @returns What the core begins with; `recovered` itself when this member is alone already.
 * @throws StorageMismatchError when this member cannot stand for its cluster. Nothing was changed then.
 */
export async function forceNewCluster(
  wal: Wal,
  recovered: RecoveredState,
  backend: Backend,
  platform: ForcingPlatform,
  memberId: MemberId,
): Promise<RecoveredState> {
  const { hardState, snapshotIndex, snapshotTerm, entries } = recovered;
  const last = entries.at(-1) ?? { index: snapshotIndex, term: snapshotTerm };
  if (new Chains(backend).integrity !== 'sound') {
    throw new StorageMismatchError(
      'what this member holds differs from what the majority of its cluster held, so it cannot be the one that goes on: ' +
        'give --force-new-cluster to another survivor, or restore a backup.',
    );
  }
  const term = Math.max(hardState.term, last.term) + 1;
  const changes = changesTo(memberId, configurationAtEnd(recovered), memberIds(backend));
  const { logger } = platform;
  if (changes.length === 0) {
    logger.warn('--force-new-cluster: this member is the only one already; leave the flag out from now on');
    return recovered;
  }
  const encode = commandEncoder(memberId, platform);
  const forced = changes.map((change, at): Entry => {
    return { index: last.index + 1 + at, term, kind: 'config', data: encode(change) };
  });
  const begun = { term, vote: memberId, commit: last.index + forced.length };
  await appendDurably(wal, begun, forced);
  const { commit } = hardState;
  logger.warn('--force-new-cluster: this member goes on alone; leave the flag out from now on', {
    kept: last.index - Math.max(commit, recovered.applied),
    index: begun.commit,
  });
  return { ...recovered, hardState: begun, entries: [...entries, ...forced] };
}

/** The configuration once all that the log holds is applied. */
function configurationAtEnd({ confState, entries, applied }: RecoveredState): ConfState {
  let configuration = confState;
  for (const { kind, index, data } of entries) {
    if (kind !== 'config' || index <= applied) continue;
    const changed = applyChange(configuration, decodeConfChange(data));
    if (changed.refused === undefined) configuration = changed.confState;
  }
  return configuration;
}

function memberIds(backend: Backend): readonly MemberId[] {
  return new ClusterState(backend).members.map(({ ID }) => ID);
}

/** What a change is about; undefined: it leaves a joint configuration. */
type Forced = { readonly kind: MembershipKind; readonly member: MemberId } | undefined;

/** What leads from a configuration to one of this member alone. @throws StorageMismatchError */
function changesTo(own: MemberId, configuration: ConfState, known: readonly MemberId[]): readonly Forced[] {
  const { voters, learners, outgoing, learnersNext } = configuration;
  if (![...voters, ...learners, ...learnersNext].includes(own)) {
    throw new StorageMismatchError(
      `member ${own.toString(16)} is no member of its cluster: it was removed, or never got the state of the cluster. Give ` +
        '--force-new-cluster to another survivor.',
    );
  }
  const others = new Set([...voters, ...learners, ...learnersNext, ...known]);
  others.delete(own);
  return [
    ...(outgoing.length > 0 ? [undefined] : []),
    ...(voters.includes(own) ? [] : [{ kind: CommandKind.MemberPromote, member: own } as const]),
    ...[...others].map((member) => ({ kind: CommandKind.MemberRemove, member }) as const),
  ];
}

function commandEncoder(own: MemberId, { random }: ForcingPlatform): (change: Forced) => Uint8Array {
  const proposer = new Proposer(own, random.uint64());
  let sequence = 0;
  return (forced) => {
    let change: ConfChange = { changes: [], transition: 'auto', context: noBytes };
    if (forced !== undefined) {
      const member = etcdserverpb.Member.fromPartial({ ID: forced.member });
      change = confChangeOf({ kind: forced.kind, member }, (kind, payload) =>
        encodeCommand(kind, proposer, ++sequence, payload),
      );
    }
    return encodeConfChange(change);
  };
}

function appendDurably(
  wal: Wal,
  hardState: RecoveredState['hardState'],
  entries: readonly Entry[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.onFailure = reject;
    wal.append({ hardState, entries, mustSync: true }, () => {
      wal.onFailure = undefined;
      resolve();
    });
  });
}
