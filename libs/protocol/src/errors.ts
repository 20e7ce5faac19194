import { GrpcStatus } from '@conclave/grpc/status';

/** One row of the table of errors: the gRPC code and the exact message that clients match on. */
export interface ProtocolErrorRow {
  readonly code: GrpcStatus;
  readonly message: string;
}

/**
 * Every error that an etcd v3 server names, by etcd's own name. Clients (etcdctl, clientv3) recognise an error by its
 * message text, so the texts are part of the wire contract and must stay byte-exact.
 */
export const protocolErrors = {
  /** empty key in Range/Put/DeleteRange/Compare/ops (not Watch: "" to \0) */
  EmptyKey: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: key is not provided' },
  /** ignore_value/ignore_lease on absent key; txn op with no oneof set */
  KeyNotFound: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: key not found' },
  /** ignore_value with non-empty value */
  ValueProvided: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: value is provided' },
  /** ignore_lease with lease≠0 */
  LeaseProvided: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: lease is provided' },
  /** max(len compare, success, failure) > max-txn-ops; nested txn gets maxOps−opc of its parent */
  TooManyOps: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: too many operations in txn request' },
  /** overlapping put/put or put/delete in one branch (see txn rules) */
  DuplicateKey: {
    code: GrpcStatus.InvalidArgument,
    message: 'etcdserver: duplicate key given in txn request',
  },
  /** `client-api-version` metadata not valid UTF-8 */
  InvalidClientAPIVersion: {
    code: GrpcStatus.InvalidArgument,
    message: 'etcdserver: invalid client api version',
  },
  /** enum value out of range */
  InvalidSortOption: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: invalid sort option' },
  /** read/compact/hash/watch below compact revision */
  Compacted: {
    code: GrpcStatus.OutOfRange,
    message: 'etcdserver: mvcc: required revision has been compacted',
  },
  /** rev > current */
  FutureRev: {
    code: GrpcStatus.OutOfRange,
    message: 'etcdserver: mvcc: required revision is a future revision',
  },
  /** quota exceeded or NOSPACE alarm */
  NoSpace: { code: GrpcStatus.ResourceExhausted, message: 'etcdserver: mvcc: database space exceeded' },
  /** put with unknown lease; revoke unknown */
  LeaseNotFound: { code: GrpcStatus.NotFound, message: 'etcdserver: requested lease not found' },
  /** grant with an existing ID */
  LeaseExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: lease already exists' },
  /** TTL > 9,000,000,000 */
  LeaseTTLTooLarge: { code: GrpcStatus.OutOfRange, message: 'etcdserver: too large lease TTL' },
  /** stream context cancelled */
  WatchCanceled: { code: GrpcStatus.Canceled, message: 'etcdserver: watch canceled' },
  MemberExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: member ID already exist' },
  PeerURLExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: Peer URLs already exists' },
  /** strict-reconfig-check (on the wire as code Unknown, see note) */
  MemberNotEnoughStarted: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: re-configuration failed due to not enough started members',
  },
  MemberBadURLs: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: given member URLs are invalid' },
  /** unknown or removed ID */
  MemberNotFound: { code: GrpcStatus.NotFound, message: 'etcdserver: member not found' },
  MemberNotLearner: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: can only promote a learner member',
  },
  /** learner match < 90 % of leader */
  LearnerNotReady: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: can only promote a learner member which is in sync with leader',
  },
  /** > --max-learners (1) */
  TooManyLearners: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: too many learner members in cluster',
  },
  ClusterIDMismatch: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: cluster ID mismatch' },
  /** marshalled raft request > max-request-bytes (1.5 MiB) */
  RequestTooLarge: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: request is too large' },
  /** commit−apply gap > 5000 (on the wire as code Unknown, see note) */
  RequestTooManyRequests: { code: GrpcStatus.ResourceExhausted, message: 'etcdserver: too many requests' },
  /** AuthEnable */
  RootUserNotExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: root user does not exist' },
  /** AuthEnable */
  RootRoleNotExist: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: root user does not have root role',
  },
  UserAlreadyExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: user name already exists' },
  /** auth on and no token; UserAdd with empty name */
  UserEmpty: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: user name is empty' },
  UserNotFound: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: user name not found' },
  RoleAlreadyExist: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: role name already exists' },
  RoleNotFound: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: role name not found' },
  RoleEmpty: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: role name is empty' },
  /** Authenticate: bad user/password */
  AuthFailed: {
    code: GrpcStatus.InvalidArgument,
    message: 'etcdserver: authentication failed, invalid user ID or password',
  },
  /** RoleGrantPermission with perm=null */
  PermissionNotGiven: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: permission not given' },
  /** RBAC */
  PermissionDenied: { code: GrpcStatus.PermissionDenied, message: 'etcdserver: permission denied' },
  RoleNotGranted: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: role is not granted to the user',
  },
  PermissionNotGranted: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: permission is not granted to the role',
  },
  /** Authenticate while auth off */
  AuthNotEnabled: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: authentication is not enabled',
  },
  /** unknown/expired token */
  InvalidAuthToken: { code: GrpcStatus.Unauthenticated, message: 'etcdserver: invalid auth token' },
  /** delete root user/role or revoke root role while on; bad permission range */
  InvalidAuthMgmt: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: invalid auth management' },
  /** token auth revision < store (re-authenticate) */
  AuthOldRevision: { code: GrpcStatus.InvalidArgument, message: 'etcdserver: revision of auth store is old' },
  /** `hasleader: true` metadata and no leader; streams cut after 3 election timeouts */
  NoLeader: { code: GrpcStatus.Unavailable, message: 'etcdserver: no leader' },
  /** MoveLeader sent to a non-leader */
  NotLeader: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: not leader' },
  /** read index / lease TTL lookup during change */
  LeaderChanged: { code: GrpcStatus.Unavailable, message: 'etcdserver: leader changed' },
  /** ≤3.5: Unavailable */
  NotCapable: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: not capable' },
  Stopped: { code: GrpcStatus.Unavailable, message: 'etcdserver: server stopped' },
  /** ReqTimeout = 5 s + 2×election timeout (7 s default) */
  Timeout: { code: GrpcStatus.Unavailable, message: 'etcdserver: request timed out' },
  TimeoutDueToLeaderFail: {
    code: GrpcStatus.Unavailable,
    message: 'etcdserver: request timed out, possibly due to previous leader failure',
  },
  TimeoutDueToConnectionLost: {
    code: GrpcStatus.Unavailable,
    message: 'etcdserver: request timed out, possibly due to connection lost',
  },
  TimeoutWaitAppliedIndex: {
    code: GrpcStatus.Unavailable,
    message: 'etcdserver: request timed out, waiting for the applied index took too long',
  },
  /** member add/remove while peers not connected at least 5 s */
  Unhealthy: { code: GrpcStatus.Unavailable, message: 'etcdserver: unhealthy cluster' },
  /** CORRUPT alarm: all KV/lease writes and applied reads refused */
  Corrupt: { code: GrpcStatus.DataLoss, message: 'etcdserver: corrupt cluster' },
  /** learner serves only serializable Range + Status (+Snapshot stream); ≤3.5: Unavailable */
  NotSupportedForLearner: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: rpc not supported for learner',
  },
  /** unknown or learner target */
  BadLeaderTransferee: { code: GrpcStatus.FailedPrecondition, message: 'etcdserver: bad leader transferee' },
  WrongDowngradeVersionFormat: {
    code: GrpcStatus.InvalidArgument,
    message: 'etcdserver: wrong downgrade target version format',
  },
  InvalidDowngradeTargetVersion: {
    code: GrpcStatus.InvalidArgument,
    message: 'etcdserver: invalid downgrade target version',
  },
  ClusterVersionUnavailable: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: cluster version not found during downgrade',
  },
  DowngradeInProcess: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: cluster has a downgrade job in progress',
  },
  NoInflightDowngrade: {
    code: GrpcStatus.FailedPrecondition,
    message: 'etcdserver: no inflight downgrade job',
  },
  Canceled: { code: GrpcStatus.Canceled, message: 'etcdserver: request canceled' },
  DeadlineExceeded: { code: GrpcStatus.DeadlineExceeded, message: 'etcdserver: context deadline exceeded' },
} as const satisfies Record<string, ProtocolErrorRow>;

/** The name of a row in {@link protocolErrors}. */
export type ProtocolErrorName = keyof typeof protocolErrors;

const namesByMessage = new Map<string, ProtocolErrorName>(
  (Object.keys(protocolErrors) as ProtocolErrorName[]).map((name) => [protocolErrors[name].message, name]),
);

/** The row that a received status message belongs to, or undefined when etcd does not name such an error. */
export function protocolErrorNamed(message: string): ProtocolErrorName | undefined {
  return namesByMessage.get(message);
}
