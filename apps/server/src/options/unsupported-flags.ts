const discovery = 'discovery of a cluster; name the members with --initial-cluster';
const peerTls = 'finer checks of certificates of members; peer-trusted-ca-file decides who is one';
const tracing = 'distributed tracing';
const corruption = 'when members check each other for corruption; they always do, about once a second';

/** Flags that etcd has and this server does not have yet, each with what it would set. */
const unsupported: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'socket-reuse-port': 'socket options',
    'socket-reuse-address': 'socket options',
    'memory-mlock': 'locking memory',
    discovery,
    'discovery-fallback': discovery,
    'discovery-proxy': discovery,
    'discovery-srv': discovery,
    'discovery-srv-name': discovery,
    'discovery-endpoints': discovery,
    'discovery-token': discovery,
    'experimental-max-learners': 'the number of learners, now --max-learners',
    'snapshot-catchup-entries': 'entries kept for slow followers',
    'client-crl-file': 'revocation lists',
    'client-cert-allowed-hostname': 'host names of client certificates',
    'auto-tls': 'self-signed certificates; give --cert-file and --key-file',
    'self-signed-cert-validity': 'self-signed certificates',
    'cipher-suites': 'the choice of cipher suites; only authenticated ones are offered',
    'peer-cert-allowed-cn': peerTls,
    'peer-cert-allowed-hostname': peerTls,
    'peer-auto-tls': 'self-signed certificates; give --peer-cert-file and --peer-key-file',
    'peer-crl-file': peerTls,
    'peer-skip-client-san-verification': peerTls,
    'experimental-peer-skip-client-san-verification': peerTls,
    'auth-token': 'the kind of auth tokens',
    'auth-token-ttl': 'the life of auth tokens',
    'bcrypt-cost': 'the cost of password hashes',
    'enable-log-rotation': 'log rotation; let the system rotate files',
    'log-rotation-config-json': 'log rotation; let the system rotate files',
    'log-package-levels': 'log levels of packages',
    debug: 'debug logs; use --log-level=debug',
    'enable-pprof': 'profiling over HTTP; use node --inspect or --cpu-prof',
    'enable-distributed-tracing': tracing,
    'distributed-tracing-address': tracing,
    'distributed-tracing-service-name': tracing,
    'distributed-tracing-instance-id': tracing,
    'distributed-tracing-sampling-rate': tracing,
    'corrupt-check-time': corruption,
    'compact-hash-check-time': corruption,
    'compact-hash-check-enabled': corruption,
    'initial-corrupt-check': corruption,
    'experimental-initial-corrupt-check': corruption,
    'experimental-corrupt-check-time': corruption,
    'downgrade-check-time': 'downgrades',
    'bootstrap-defrag-threshold-megabytes': 'defragmentation at start; the store reuses free pages by itself',
    'feature-gates': 'feature gates',
    'experimental-enable-lease-checkpoint': 'lease checkpoints',
    'experimental-enable-v2v3': 'the v2 API',
    'experimental-backend-bbolt-freelist-type': "bbolt's free list",
    'backend-bbolt-freelist-type': "bbolt's free list",
    proxy: 'the v2 proxy',
    'v2-deprecation': 'the v2 API',
  }),
);

/** What an unsupported flag of etcd would set; undefined when etcd has no such flag either. */
export function unsupportedFlag(flag: string): string | undefined {
  return unsupported.get(flag);
}
