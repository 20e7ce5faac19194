import { readArguments } from './arguments.js';
import { type AutoCompaction, parseAutoCompaction } from './auto-compaction.js';
import { readConfigFile } from './config-file.js';
import { type Environment, readEnvironment } from './environment.js';
import { flagTable, type OptionName, type OptionValues } from './flag-table.js';
import { emptySource, type Given, mistakeAbout, type Notice, parseGiven, type Source } from './given.js';
import { type InitialCluster, parseInitialCluster } from './initial-cluster.js';
import { OptionsError } from './options-error.js';
import { exposureNotices } from './exposure.js';
import { findMistakes } from './validation.js';

/** The certificates of the client port or of the peer port; files are read when the server starts. */
export interface TlsOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities that sign certificates of those who connect, and of other members; may be empty. */
  readonly trustedCaFile: string;
  readonly clientCertAuth: boolean;
}

/**
 * Every option with its value in force: the rows of the table, and what follows from several of them.
 * Durations are milliseconds, sizes are bytes.
 */
export interface ServerOptions extends OptionValues {
  /** Founding members; contains the own name once {@link readOptions} accepted a member that starts for the first time. */
  readonly initialMembers: InitialCluster;
  /** Size of the store at which writes are refused; undefined when there is no quota. */
  readonly quotaBytes: number | undefined;
  readonly autoCompaction: AutoCompaction;
  readonly tls: TlsOptions | undefined;
  /** Between members. */
  readonly peerTls: TlsOptions | undefined;
}

/** What reading the options needs of the disk. */
export interface OptionsDisk {
  /** The content of a text file; undefined when it cannot be read. */
  readText(path: string): string | undefined;
  /** Whether a directory holds the state of a member that has run before. */
  holdsMember(dataDir: string): boolean;
}

export interface OptionsInput {
  /** Words after `conclave server`. */
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly disk: OptionsDisk;
}

export interface ReadOptions {
  readonly options: ServerOptions;
  /** What should be logged at start: ignored variables, flags without effect, warnings about exposure. */
  readonly notices: readonly Notice[];
}

const defaultQuotaBytes = 2 * 1024 ** 3;

/**
 * Reads all options. A value on the command line wins over one in the environment, which wins over the default;
 * `CONCLAVE_X` and `ETCD_X` must agree when both are set. With `--config-file` only the file counts.
 *
 * @throws OptionsError with everything that is wrong, when anything is.
 */
export function readOptions(input: OptionsInput): ReadOptions {
  const source = mergeSources(input);
  const values = parseGiven(source.given, source.mistakes);
  const options = deriveOptions(values, source);
  source.mistakes.push(...findMistakes(options, new Set(source.given.keys()), input.disk));
  if (source.mistakes.length > 0) throw new OptionsError(source.mistakes);
  return {
    options,
    notices: [...source.notices, ...withoutEffect(source.given), ...exposureNotices(options)],
  };
}

/** The options of a server of which nothing but these texts was given, for embedding: `{ name: 'a', dataDir: '…' }`. */
export function optionsFrom(
  texts: Readonly<Partial<Record<OptionName, string>>>,
  disk: OptionsDisk,
): ReadOptions {
  const argv = Object.entries(texts).map(
    ([option, text]) => `--${flagTable[option as OptionName].flag}=${text}`,
  );
  return readOptions({ argv, env: {}, disk });
}

function mergeSources({ argv, env, disk }: OptionsInput): Source {
  const fromArguments = readArguments(argv);
  const fromEnvironment = readEnvironment(env);
  const file = fromArguments.given.get('configFile') ?? fromEnvironment.given.get('configFile');
  if (file !== undefined && file.text !== '') return onlyFile(file, [fromArguments, fromEnvironment], disk);
  const merged = emptySource();
  for (const source of [fromEnvironment, fromArguments]) {
    merged.mistakes.push(...source.mistakes);
    merged.notices.push(...source.notices);
    for (const [option, given] of source.given) {
      const shadowed = merged.given.get(option);
      if (shadowed !== undefined && shadowed.text !== given.text) {
        merged.notices.push({
          level: 'warn',
          text: `${shadowed.subject} is ignored because ${given.subject} is given`,
        });
      }
      merged.given.set(option, given);
    }
  }
  return merged;
}

function onlyFile(file: Given, others: readonly Source[], disk: OptionsDisk): Source {
  const content = disk.readText(file.text);
  const source = content === undefined ? emptySource() : readConfigFile(file.text, content);
  if (content === undefined) {
    source.mistakes.push({ subject: file.subject, given: file.text, problem: 'the file cannot be read' });
  }
  for (const other of others) {
    source.mistakes.push(...other.mistakes);
    for (const given of other.given.values()) {
      if (given.option === 'configFile') continue;
      source.notices.push({
        level: 'warn',
        text: `${given.subject} is ignored because ${file.subject} is given`,
      });
    }
  }
  source.given.set('configFile', file);
  return source;
}

function deriveOptions(values: OptionValues, source: Source): ServerOptions {
  const dataDir = values.dataDir === '' ? `${values.name}.etcd` : values.dataDir;
  return {
    ...values,
    dataDir,
    initialMembers: deriveInitialMembers(values, source),
    quotaBytes: values.quotaBackendBytes < 0 ? undefined : values.quotaBackendBytes || defaultQuotaBytes,
    autoCompaction: deriveAutoCompaction(values, source),
    tls: deriveTls(values),
    peerTls: derivePeerTls(values),
  };
}

function deriveInitialMembers(values: OptionValues, source: Source): InitialCluster {
  if (values.initialCluster === '') {
    return new Map([[values.name, values.initialAdvertisePeerUrls.map(({ text }) => text).sort()]]);
  }
  const problems: string[] = [];
  const cluster = parseInitialCluster(values.initialCluster, problems);
  if (problems.length > 0) addMistake('initialCluster', problems.join('; '), source);
  return cluster;
}

function deriveAutoCompaction(values: OptionValues, source: Source): AutoCompaction {
  const parsed = parseAutoCompaction(values.autoCompactionMode, values.autoCompactionRetention);
  if (typeof parsed !== 'string') return parsed;
  addMistake('autoCompactionRetention', parsed, source);
  return { mode: 'off' };
}

function addMistake(option: OptionName, problem: string, source: Source): void {
  const flag = flagTable[option];
  const given = source.given.get(option);
  source.mistakes.push(mistakeAbout(flag, given?.subject ?? `--${flag.flag}`, given?.text, problem));
}

function deriveTls({ certFile, keyFile, trustedCaFile, clientCertAuth }: TlsOptions): TlsOptions | undefined {
  return certFile === '' || keyFile === '' ? undefined : { certFile, keyFile, trustedCaFile, clientCertAuth };
}

function derivePeerTls(values: OptionValues): TlsOptions | undefined {
  return deriveTls({
    certFile: values.peerCertFile,
    keyFile: values.peerKeyFile,
    trustedCaFile: values.peerTrustedCaFile,
    clientCertAuth: values.peerClientCertAuth,
  });
}

function withoutEffect(given: ReadonlyMap<OptionName, Given>): Notice[] {
  return [...given.values()].flatMap(({ option, subject, text }) => {
    const flag = flagTable[option];
    if (flag.withoutEffect === undefined || text === flag.defaultText) return [];
    return [
      { level: 'info' as const, text: `${subject} is accepted but has no effect: ${flag.withoutEffect}` },
    ];
  });
}
