/** One path of the JSON API and the gRPC method behind it. */
export interface GatewayRoute {
  /** Under the prefix `/v3`. */
  readonly path: string;
  readonly method: string;
}

type MethodsOfService = Readonly<Record<string, string | readonly string[]>>;

const services: Readonly<Record<string, MethodsOfService>> = {
  'etcdserverpb.KV': {
    Range: 'kv/range',
    Put: 'kv/put',
    DeleteRange: 'kv/deleterange',
    Txn: 'kv/txn',
    Compact: 'kv/compaction',
  },
  'etcdserverpb.Watch': { Watch: 'watch' },
  'etcdserverpb.Lease': {
    LeaseGrant: 'lease/grant',
    LeaseRevoke: ['lease/revoke', 'kv/lease/revoke'],
    LeaseKeepAlive: 'lease/keepalive',
    LeaseTimeToLive: ['lease/timetolive', 'kv/lease/timetolive'],
    LeaseLeases: ['lease/leases', 'kv/lease/leases'],
  },
  'etcdserverpb.Cluster': {
    MemberAdd: 'cluster/member/add',
    MemberRemove: 'cluster/member/remove',
    MemberUpdate: 'cluster/member/update',
    MemberList: 'cluster/member/list',
    MemberPromote: 'cluster/member/promote',
  },
  'etcdserverpb.Maintenance': {
    Alarm: 'maintenance/alarm',
    Status: 'maintenance/status',
    Defragment: 'maintenance/defragment',
    Hash: 'maintenance/hash',
    HashKV: 'maintenance/hashkv',
    Snapshot: 'maintenance/snapshot',
    MoveLeader: 'maintenance/transfer-leadership',
    Downgrade: 'maintenance/downgrade',
  },
  'etcdserverpb.Auth': {
    AuthEnable: 'auth/enable',
    AuthDisable: 'auth/disable',
    AuthStatus: 'auth/status',
    Authenticate: 'auth/authenticate',
    UserAdd: 'auth/user/add',
    UserGet: 'auth/user/get',
    UserList: 'auth/user/list',
    UserDelete: 'auth/user/delete',
    UserChangePassword: 'auth/user/changepw',
    UserGrantRole: 'auth/user/grant',
    UserRevokeRole: 'auth/user/revoke',
    RoleAdd: 'auth/role/add',
    RoleGet: 'auth/role/get',
    RoleList: 'auth/role/list',
    RoleDelete: 'auth/role/delete',
    RoleGrantPermission: 'auth/role/grant',
    RoleRevokePermission: 'auth/role/revoke',
  },
  'v3lockpb.Lock': { Lock: 'lock/lock', Unlock: 'lock/unlock' },
  'v3electionpb.Election': {
    Campaign: 'election/campaign',
    Proclaim: 'election/proclaim',
    Leader: 'election/leader',
    Observe: 'election/observe',
    Resign: 'election/resign',
  },
};

function pathsOf(paths: string | readonly string[]): readonly string[] {
  return typeof paths === 'string' ? [paths] : paths;
}

/** Every path of etcd's JSON API; all of them take POST only. RangeStream exists over gRPC alone. */
export const gatewayRoutes: readonly GatewayRoute[] = Object.entries(services).flatMap(([service, methods]) =>
  Object.entries(methods).flatMap(([name, paths]) =>
    pathsOf(paths).map((path) => ({ path: `/v3/${path}`, method: `/${service}/${name}` })),
  ),
);
