import { type Flag } from './flag.js';
import { formatDuration } from './duration.js';
import { flagTable, type OptionName } from './flag-table.js';
import { mistakeAbout } from './given.js';
import { sameUrls, sharedUrls } from './initial-cluster.js';
import { bindAddress, type HostUrl, isAddress } from './listen-url.js';
import { type Mistake } from './options-error.js';
import { type OptionsDisk, type ServerOptions } from './server-options.js';

/** Collects what is wrong between options; each value by itself was checked when it was parsed. */
class Check {
  readonly mistakes: Mistake[] = [];

  constructor(
    readonly options: ServerOptions,
    readonly given: ReadonlySet<OptionName>,
    readonly disk: OptionsDisk,
  ) {}

  refuse(option: OptionName, value: string | undefined, problem: string): void {
    const flag: Flag<unknown> = flagTable[option];
    this.mistakes.push(mistakeAbout(flag, `--${flag.flag}`, value, problem));
  }
}

/**
 * Finds what cannot work together.
 *
 * @param given The options that somebody gave; the others have their defaults.
 */
export function findMistakes(
  options: ServerOptions,
  given: ReadonlySet<OptionName>,
  disk: OptionsDisk,
): readonly Mistake[] {
  const check = new Check(options, given, disk);
  checkNames(check);
  checkTimes(check);
  checkListenUrls(check);
  checkAdvertisedUrls(check);
  checkTls(check);
  checkLogs(check);
  if (!disk.holdsMember(options.dataDir)) checkInitialCluster(check);
  return check.mistakes;
}

function checkNames(check: Check): void {
  const { name, initialClusterToken, dataDir, walDir } = check.options;
  if (name === '') check.refuse('name', '', 'it must not be empty');
  if (/[=,]/.test(name))
    check.refuse('name', name, 'it must not contain = or , because --initial-cluster uses them');
  if (initialClusterToken === '') check.refuse('initialClusterToken', '', 'it must not be empty');
  if (walDir !== '' && walDir === dataDir) check.refuse('walDir', walDir, 'it must differ from --data-dir');
}

function checkTimes(check: Check): void {
  const { heartbeatInterval, electionTimeout } = check.options;
  if (electionTimeout >= 5 * heartbeatInterval) return;
  const least = formatDuration(5 * heartbeatInterval);
  const problem = `it must be at least ${least}, five times --heartbeat-interval (${formatDuration(heartbeatInterval)})`;
  check.refuse('electionTimeout', formatDuration(electionTimeout), problem);
}

const listening = [
  'listenClientUrls',
  'listenClientHttpUrls',
  'listenPeerUrls',
  'listenMetricsUrls',
] as const;

function checkListenUrls(check: Check): void {
  const users = new Map<string, string>();
  for (const option of listening) {
    for (const url of check.options[option]) checkListenUrl(check, option, url, users);
  }
  if (check.options.listenClientUrls.length === 0)
    check.refuse('listenClientUrls', '', 'there must be at least one URL');
}

function checkListenUrl(check: Check, option: OptionName, url: HostUrl, users: Map<string, string>): void {
  const flag = flagTable[option].flag;
  const isName = url.host !== '' && url.host.toLowerCase() !== 'localhost' && !isAddress(url.host);
  if (isName)
    check.refuse(option, url.text, 'the host of a URL to listen on must be an IP address or localhost');
  const address = `${bindAddress(url)}:${url.port}`;
  const user = users.get(address);
  if (user !== undefined && url.port !== 0)
    check.refuse(option, url.text, `--${user} listens on the same address`);
  users.set(address, flag);
}

function checkAdvertisedUrls(check: Check): void {
  const { options, given } = check;
  if (given.has('listenClientUrls') && !given.has('advertiseClientUrls')) {
    check.refuse('advertiseClientUrls', undefined, 'it is required when --listen-client-urls is given');
  }
  for (const option of ['advertiseClientUrls', 'initialAdvertisePeerUrls'] as const) {
    if (options[option].length === 0) check.refuse(option, '', 'there must be at least one URL');
    for (const url of options[option]) {
      if (url.host === '') check.refuse(option, url.text, 'a URL that others use must name a host');
    }
  }
}

const certificates = [
  { cert: 'certFile', key: 'keyFile', ca: 'trustedCaFile', auth: 'clientCertAuth' },
  { cert: 'peerCertFile', key: 'peerKeyFile', ca: 'peerTrustedCaFile', auth: 'peerClientCertAuth' },
] as const;

function checkTls(check: Check): void {
  const { options } = check;
  for (const { cert, key, ca, auth } of certificates) {
    const requires = (missing: OptionName, because: OptionName): void =>
      check.refuse(missing, undefined, `it is required with --${flagTable[because].flag}`);
    if (options[cert] !== '' && options[key] === '') requires(key, cert);
    if (options[key] !== '' && options[cert] === '') requires(cert, key);
    if (options[auth] && options[ca] === '') requires(ca, auth);
    for (const option of [cert, key, ca]) {
      const path = options[option];
      if (path !== '' && check.disk.readText(path) === undefined)
        check.refuse(option, path, 'the file cannot be read');
    }
  }
  const { tlsMinVersion, tlsMaxVersion } = options;
  if (tlsMaxVersion !== '' && tlsMaxVersion < tlsMinVersion) {
    check.refuse('tlsMaxVersion', tlsMaxVersion, `it is lower than --tls-min-version (${tlsMinVersion})`);
  }
  checkHttpsUrls(check);
}

function checkHttpsUrls(check: Check): void {
  const { options } = check;
  for (const option of ['listenClientUrls', 'listenClientHttpUrls', 'listenMetricsUrls'] as const) {
    for (const url of options[option]) {
      if (url.scheme === 'https' && options.tls === undefined) {
        check.refuse(option, url.text, 'an https URL needs --cert-file and --key-file');
      }
    }
  }
  for (const url of options.listenPeerUrls) {
    if (url.scheme === 'https' && options.peerTls === undefined) {
      check.refuse('listenPeerUrls', url.text, 'an https URL needs --peer-cert-file and --peer-key-file');
    }
  }
}

function checkLogs(check: Check): void {
  const { logOutputs } = check.options;
  if (logOutputs.length === 0) check.refuse('logOutputs', '', 'there must be at least one output');
  if (logOutputs.includes('systemd/journal')) {
    check.refuse(
      'logOutputs',
      logOutputs.join(','),
      'the journal is not supported as an output; it collects stderr by itself',
    );
  }
}

function checkInitialCluster(check: Check): void {
  const { initialMembers, name, initialAdvertisePeerUrls, listenPeerUrls } = check.options;
  const given = check.options.initialCluster;
  const isJoining = check.options.initialClusterState === 'existing';
  if (isJoining && initialMembers.size < 2) {
    const problem =
      'a member that joins a cluster must be told, beside itself, members of it that it can ask';
    check.refuse('initialCluster', given, problem);
  }
  if (initialMembers.size > 1 && listenPeerUrls.length === 0) {
    check.refuse('listenPeerUrls', '', 'a member of a cluster of several must listen for the others');
  }
  for (const url of sharedUrls(initialMembers))
    check.refuse('initialCluster', given, `${url} is listed twice`);
  const own = initialMembers.get(name);
  if (own === undefined) {
    check.refuse('initialCluster', given, `it must contain this member by its name, "${name}"`);
  } else if (!sameUrls(own, initialAdvertisePeerUrls)) {
    const advertised = initialAdvertisePeerUrls.map(({ text }) => text).join(',');
    const problem = `its URLs of "${name}" (${own.join(',')}) must be those of --initial-advertise-peer-urls (${advertised})`;
    check.refuse('initialCluster', given, problem);
  }
}
