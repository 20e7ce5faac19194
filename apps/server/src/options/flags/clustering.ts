import { choice, text, toggle, urlList, wholeNumber } from '../flag.js';

/** How a member finds its cluster, and what it tells the others about itself. */
export const clusteringFlags = {
  initialAdvertisePeerUrls: urlList(
    'initial-advertise-peer-urls',
    'http://localhost:2380',
    'URLs by which the other members reach this one; hashed into its id.',
  ),
  advertiseClientUrls: urlList(
    'advertise-client-urls',
    'http://localhost:2379',
    'URLs by which clients reach this member; required when listen-client-urls is set.',
  ),
  initialCluster: text(
    'initial-cluster',
    '',
    'The members a new cluster starts with: name=peer-url pairs, separated by commas.',
    {
      defaultNote: '${name}=${initial-advertise-peer-urls}',
    },
  ),
  initialClusterState: choice(
    'initial-cluster-state',
    'new',
    ['new', 'existing'],
    'Whether this member founds a new cluster or joins one that exists.',
  ),
  initialClusterToken: text(
    'initial-cluster-token',
    'etcd-cluster',
    'Keeps clusters apart that are started with the same URLs; hashed into the ids of members and cluster.',
  ),
  forceNewCluster: toggle(
    'force-new-cluster',
    false,
    'Make this member, the survivor of a cluster that lost its majority for good, the only member; for one start.',
  ),
  strictReconfigCheck: toggle(
    'strict-reconfig-check',
    true,
    'Refuse changes of the membership that would lose the quorum.',
    { withoutEffect: 'such changes are always refused' },
  ),
  preVote: toggle('pre-vote', true, 'Ask whether a campaign could be won before starting it.', {
    withoutEffect: 'members always ask first',
  }),
  maxLearners: wholeNumber(
    'max-learners',
    1,
    { min: 1, max: 100, unit: 'members' },
    'How many learners the cluster may have at a time; the leader decides by its own value.',
  ),
  promoteLearners: toggle(
    'promote-learners',
    false,
    'Make learners voters by themselves once they are in sync; every member that may lead needs it.',
  ),
  autoCompactionMode: choice(
    'auto-compaction-mode',
    'periodic',
    ['periodic', 'revision'],
    'Whether auto-compaction-retention is a time or a number of revisions.',
  ),
  autoCompactionRetention: text(
    'auto-compaction-retention',
    '0',
    'How much history to keep: a duration (plain numbers are hours) or a number of revisions; 0 turns compaction off.',
  ),
} as const;
