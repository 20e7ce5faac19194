import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Environment } from './environment.js';
import { flagHelp } from './help.js';
import { formatDuration, parseDuration } from './duration.js';
import { type Flag } from './flag.js';
import { flagTable, knownFlags, optionNames } from './flag-table.js';
import { parseHostUrl } from './listen-url.js';
import { editDistance, nearest } from './nearest.js';
import { OptionsError } from './options-error.js';
import { type OptionsDisk, readOptions, type ReadOptions } from './server-options.js';
import { unsupportedFlag } from './unsupported-flags.js';

const pems = { 'cert.pem': 'x', 'key.pem': 'x', 'ca.pem': 'x' };
const disk = (extra: Readonly<Record<string, string>> = {}, hasMember = false): OptionsDisk => ({
  // A map: an object has names of its own, such as valueOf.
  readText: (path) => new Map(Object.entries({ ...pems, ...extra })).get(path),
  holdsMember: () => hasMember,
});

const read = (argv: readonly string[], env: Environment = {}, extra: OptionsDisk = disk()): ReadOptions =>
  readOptions({ argv, env, disk: extra });

function mistakesOf(argv: readonly string[], env: Environment = {}, extra: OptionsDisk = disk()): string[] {
  try {
    read(argv, env, extra);
    return [];
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    return error.mistakes.map(({ subject, problem }) => `${subject}: ${problem}`);
  }
}

describe('parseDuration', () => {
  it("reads etcd's durations", () => {
    const cases = {
      '100ms': 100,
      '5s': 5_000,
      '1h': 3_600_000,
      '1h30m': 5_400_000,
      '1.5s': 1_500,
      '0': 0,
      '.5s': 500,
      '-1s': -1_000,
      '2us': 0.002,
    };
    for (const [text, milliseconds] of Object.entries(cases))
      expect([text, parseDuration(text)]).toEqual([text, milliseconds]);
    for (const text of ['', '5', 's', '5 s', '5x', '1h-5m', '--1s'])
      expect([text, parseDuration(text)]).toEqual([text, undefined]);
  });

  it('reads back what formatDuration writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBeCloseTo(ms);
      }),
    );
  });
});

describe('parseHostUrl', () => {
  it('takes host and port, and nothing else', () => {
    expect(parseHostUrl('http://[::1]:2379/')).toEqual({
      scheme: 'http',
      host: '::1',
      port: 2379,
      text: 'http://[::1]:2379',
    });
    for (const text of [
      '',
      'localhost:2379',
      'http://localhost',
      'ftp://a:1',
      'http://a:1/x',
      'http://a:70000',
      'http://u@a:1',
      'unix://a:1',
      'http://a:1?x',
    ]) {
      expect([text, typeof parseHostUrl(text)]).toEqual([text, 'string']);
    }
  });
});

describe('nearest', () => {
  it('finds slips of the pen and nothing far away', () => {
    expect(editDistance('abcd', 'acbd')).toBe(1);
    expect(nearest('heartbeat-intreval', knownFlags)).toBe('heartbeat-interval');
    expect(nearest('zzz', knownFlags)).toBeUndefined();
  });
});

describe('the table of flags', () => {
  it('has defaults that its own rules accept, one flag per name, and no flag that is also called unsupported', () => {
    for (const option of optionNames) {
      const flag: Flag<unknown> = flagTable[option];
      expect(() => flag.parse(flag.defaultText)).not.toThrow();
      expect([flag.flag, unsupportedFlag(flag.flag)]).toEqual([flag.flag, undefined]);
      expect(flag.description.endsWith('.')).toBe(true);
    }
    expect(new Set(knownFlags).size).toBe(knownFlags.length);
  });

  it('is explained completely by --help', () => {
    const help = flagHelp();
    for (const option of optionNames) expect(help).toContain(`--${flagTable[option].flag} `);
  });
});

describe('readOptions', () => {
  it('starts with nothing given, on loopback only', () => {
    const { options, notices } = read([]);
    expect(options.dataDir).toBe('default.etcd');
    expect(options.listenClientUrls.map(({ text }) => text)).toEqual(['http://localhost:2379']);
    expect([...options.initialMembers]).toEqual([['default', ['http://localhost:2380']]]);
    expect([options.quotaBytes, options.autoCompaction, options.tls]).toEqual([
      2 * 1024 ** 3,
      { mode: 'off' },
      undefined,
    ]);
    expect(notices).toEqual([]);
  });

  it('takes every form of a flag', () => {
    const { options } = read([
      '--name=a',
      '-data-dir',
      '/d',
      '--heartbeat-interval',
      '50',
      '--election-timeout=1s',
      '--metrics',
      'extensive',
      '--initial-cluster=a=http://localhost:2380',
    ]);
    expect([
      options.name,
      options.dataDir,
      options.heartbeatInterval,
      options.electionTimeout,
      options.metrics,
    ]).toEqual(['a', '/d', 50, 1_000, 'extensive']);
    expect(read(['--client-cert-auth=false']).options.clientCertAuth).toBe(false);
    expect(
      read(['--experimental-watch-progress-notify-interval=1m']).options.watchProgressNotifyInterval,
    ).toBe(60_000);
  });

  it('prefers flags to CONCLAVE_ to ETCD_ to defaults, and refuses variables that disagree', () => {
    expect(read(['--name=flag'], { CONCLAVE_NAME: 'env' }).options.name).toBe('flag');
    expect(read([], { CONCLAVE_NAME: 'env' }).options.name).toBe('env');
    expect(read([], { ETCD_NAME: 'etcd' }).options.name).toBe('etcd');
    expect(read([], { ETCD_NAME: 'same', CONCLAVE_NAME: 'same' }).options.name).toBe('same');
    expect(read([], { ETCD_NAME: '' }).options.name).toBe('default');
    expect(mistakesOf([], { ETCD_NAME: 'a', CONCLAVE_NAME: 'b' })).toEqual([
      'ETCD_NAME: CONCLAVE_NAME is set too, to "b"; keep one of the two or make them equal',
    ]);
    expect(read([], { ETCD_NAMME: 'x' }).notices[0]?.text).toBe(
      'unrecognized environment variable ETCD_NAMME is ignored; did you mean ETCD_NAME?',
    );
  });

  it('reports all mistakes at once, each with value, range and default', () => {
    try {
      read([
        '--heartbeat-intreval=5',
        '--heartbeat-interval=x',
        '--max-txn-ops=0',
        '--discovery=http://x',
        'stray',
        '--log-level=loud',
        '--name',
      ]);
      expect.unreachable();
    } catch (error) {
      const { message } = error as OptionsError;
      expect(message).toContain('7 options are wrong:');
      expect(message).toContain(
        '--heartbeat-intreval (given: "5"): there is no such flag; did you mean --heartbeat-interval?',
      );
      expect(message).toContain(
        '--max-txn-ops (given: "0"): it is less than 1; expects a whole number of operations between 1 and 1000000; default: 128',
      );
      expect(message).toContain(
        '--discovery (given: "http://x"): etcd has this flag, but it is not supported yet',
      );
      expect(message).toContain('"stray": it is not a flag');
      expect(message).toContain(
        '--log-level (given: "loud"): it is not one of the known choices; expects one of debug, info',
      );
      expect(message).toContain('--name: it needs a value');
    }
  });

  it('checks options against each other as etcd does', () => {
    const cases: [string[], RegExp][] = [
      [
        ['--listen-client-urls=http://127.0.0.1:1'],
        /advertise-client-urls: it is required when --listen-client-urls/,
      ],
      [['--heartbeat-interval=300'], /election-timeout: it must be at least 1.5s, five times/],
      [['--listen-peer-urls=http://node.example:2380'], /must be an IP address or localhost/],
      [['--listen-peer-urls=http://localhost:2379'], /--listen-client-urls listens on the same address/],
      [['--initial-cluster=b=http://localhost:2380'], /must contain this member by its name, "default"/],
      [['--initial-cluster=default=http://10.0.0.1:2380'], /must be those of --initial-advertise-peer-urls/],
      [
        ['--initial-cluster=default=http://localhost:2380,b=http://localhost:2380'],
        /http:\/\/localhost:2380 is listed twice/,
      ],
      [
        ['--initial-cluster=default=http://localhost:2380,b=http://10.0.0.1:2380', '--listen-peer-urls='],
        /listen-peer-urls: a member of a cluster of several must listen/,
      ],
      [['--initial-cluster-state=existing'], /must be told, beside itself, members of it that it can ask/],
      [['--listen-peer-urls=https://127.0.0.1:1'], /an https URL needs --peer-cert-file/],
      [['--peer-cert-file=cert.pem'], /peer-key-file: it is required with --peer-cert-file/],
      [['--peer-client-cert-auth'], /peer-trusted-ca-file: it is required with --peer-client-cert-auth/],
      [['--initial-cluster=nonsense'], /does not have the form name=/],
      [['--cert-file=cert.pem'], /key-file: it is required with --cert-file/],
      [['--cert-file=cert.pem', '--key-file=missing.pem'], /key-file: the file cannot be read/],
      [['--client-cert-auth'], /trusted-ca-file: it is required/],
      [['--listen-metrics-urls=https://127.0.0.1:1'], /an https URL needs --cert-file/],
      [['--auto-compaction-mode=revision', '--auto-compaction-retention=1h'], /whole number of revisions/],
      [['--auto-compaction-retention=-5m'], /must be 0 or at least 1s/],
      [['--advertise-client-urls=http://:2379'], /must name a host/],
      [['--name=a=b'], /must not contain = or ,/],
      [['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'], /lower than --tls-min-version/],
    ];
    for (const [argv, problem] of cases) {
      expect([argv, mistakesOf(argv).join('\n')]).toEqual([argv, expect.stringMatching(problem)]);
    }
  });

  it('takes localhost and 127.0.0.1 as the same address, and leaves the initial cluster of an old member alone', () => {
    expect(mistakesOf(['--initial-cluster=default=http://127.0.0.1:2380'])).toEqual([]);
    expect(
      mistakesOf(
        ['--initial-cluster=b=http://10.0.0.1:2380', '--initial-cluster-state=existing'],
        {},
        disk({}, true),
      ),
    ).toEqual([]);
  });

  it('reads retention in both modes', () => {
    const compaction = (...argv: string[]): unknown => read(argv).options.autoCompaction;
    expect(compaction('--auto-compaction-retention=1')).toEqual({ mode: 'periodic', retentionMs: 3_600_000 });
    expect(compaction('--auto-compaction-retention=30m')).toEqual({
      mode: 'periodic',
      retentionMs: 1_800_000,
    });
    expect(compaction('--auto-compaction-mode=revision', '--auto-compaction-retention=1000')).toEqual({
      mode: 'revision',
      retentionRevisions: 1_000,
    });
  });

  it('warns loudly when it can be reached from elsewhere without TLS, and of flags without effect', () => {
    const texts = (argv: string[]): string =>
      read(argv)
        .notices.map(({ text }) => text)
        .join('\n');
    expect(
      texts(['--listen-client-urls=http://0.0.0.0:2379', '--advertise-client-urls=http://10.0.0.1:2379']),
    ).toMatch(/^INSECURE: http:\/\/0\.0\.0\.0:2379 can be reached/);
    const openPeers = ['--listen-peer-urls=http://0.0.0.0:2380'];
    expect(texts(openPeers)).toMatch(/^INSECURE: members are reached at http:\/\/0\.0\.0\.0:2380/);
    const members = ['--initial-cluster=default=http://localhost:2380,b=http://10.0.0.1:2380'];
    expect(mistakesOf(members)).toEqual([]);
    expect([...read(members).options.initialMembers.keys()]).toEqual(['default', 'b']);
    expect(texts(['--snapshot-count=5'])).toMatch(/--snapshot-count is accepted but has no effect/);
    const secure = [
      '--cert-file=cert.pem',
      '--key-file=key.pem',
      '--listen-client-urls=https://0.0.0.0:2379',
      '--advertise-client-urls=https://10.0.0.1:2379',
    ];
    expect(texts(secure)).not.toMatch(/INSECURE/);
  });

  it('never fails otherwise than with an OptionsError', () => {
    const word = fc.oneof(
      fc.string(),
      fc.tuple(fc.constantFrom(...knownFlags), fc.string()).map(([flag, value]) => `--${flag}=${value}`),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), (argv) => void mistakesOf(argv)),
      { numRuns: 500 },
    );
  });
});

describe('configuration files', () => {
  const file = (content: unknown): OptionsDisk =>
    disk({ 'c.json': typeof content === 'string' ? content : JSON.stringify(content) });

  it("reads etcd's keys as JSON, and ignores flags and environment", () => {
    const content = {
      name: 'infra1',
      'heartbeat-interval': 50,
      'grpc-keepalive-min-time': 5_000_000_000,
      'log-outputs': ['stderr', 'a.log'],
      'strict-reconfig-check': true,
      'client-transport-security': { 'cert-file': 'cert.pem', 'key-file': 'key.pem' },
    };
    const { options, notices } = read(['--config-file=c.json', '--name=other'], {}, file(content));
    expect([
      options.name,
      options.heartbeatInterval,
      options.grpcKeepaliveMinTime,
      options.logOutputs,
      options.certFile,
    ]).toEqual(['infra1', 50, 5_000, ['stderr', 'a.log'], 'cert.pem']);
    expect(notices.map(({ text }) => text)).toContain('--name is ignored because --config-file is given');
  });

  it("reads etcd's YAML, with comments and keys that are left empty", () => {
    const content = [
      '# Human-readable name',
      "name: 'infra1'",
      'wal-dir:',
      'heartbeat-interval: 50  # milliseconds',
      'listen-client-urls: http://127.0.0.1:2379,http://127.0.0.1:4001',
      'advertise-client-urls: http://127.0.0.1:2379',
      'log-outputs: [stderr, a.log]',
      'client-transport-security:',
      '  cert-file: cert.pem',
      '  key-file: key.pem',
      '  trusted-ca-file:',
      'peer-transport-security:',
    ].join('\n');
    const { options } = read(['--config-file=c.json'], {}, file(content));
    const { name, heartbeatInterval, listenClientUrls, logOutputs, certFile } = options;
    expect([name, heartbeatInterval, listenClientUrls.length, logOutputs, certFile]).toEqual([
      'infra1',
      50,
      2,
      ['stderr', 'a.log'],
      'cert.pem',
    ]);
  });

  it.each([
    ['name: a\nname: b\n', /line 2, column 1: Map keys must be unique$/],
    ['name: a\n\theartbeat-interval: 50\n', /line 2, column 1: .*[Tt]ab/],
    ['{"name": "a",\n "heartbeat-interval": 50', /line 2, column 26: Flow map must end with a \}$/],
    ['name: a\n---\nname: b\n', /line 2, column 1: a second document begins here$/],
    ['name: !secret a\n', /line 1, column 7: Unresolved tag: !secret$/],
    ['[name]: a\n', /line 1, column 1: .*keys must be/],
    ['name: *other\n', /Unresolved alias/],
    ['', /outermost value is not an object/],
    ['- name: a\n', /outermost value is not an object/],
  ])('says where a file cannot be read: %j', (content, expected) => {
    expect(mistakesOf(['--config-file=c.json'], {}, file(content)).join('\n')).toMatch(expected);
  });

  it('says what is wrong with a file', () => {
    const mistakes = (content: unknown): string =>
      mistakesOf(['--config-file=c.json'], {}, file(content)).join('\n');
    expect(mistakes([])).toMatch(/outermost value is not an object/);
    expect(mistakes({ nmae: 'a' })).toMatch(
      /config file key "nmae": there is no such flag; did you mean --name/,
    );
    expect(mistakes({ name: {} })).toMatch(/must be a text, number/);
    expect(mistakes({ 'peer-transport-security': { 'cert-file': 'a' } })).toMatch(
      /peer-key-file: it is required with --peer-cert-file/,
    );
    expect(mistakesOf(['--config-file=none.json'])).toEqual(['--config-file: the file cannot be read']);
  });
});
