import { environmentSuffix, flagTable, knownFlags, type OptionName, optionNames } from './flag-table.js';
import { emptySource, type Given, type Source } from './given.js';
import { nearest } from './nearest.js';
import { unsupportedFlag } from './unsupported-flags.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const prefixes = ['CONCLAVE_', 'ETCD_'] as const;

/**
 * Reads `CONCLAVE_<FLAG>` and `ETCD_<FLAG>`; an empty variable counts as absent. Both may be set when they agree.
 * Variables with these prefixes that are no flag are only noted, because others (orchestrators, the command line
 * client) put their own into the same environment.
 */
export function readEnvironment(env: Environment): Source {
  const source = emptySource();
  for (const option of optionNames) readOption(option, env, source);
  for (const name of Object.keys(env)) noteUnknown(name, env[name], source);
  return source;
}

function readOption(option: OptionName, env: Environment, source: Source): void {
  const flag = flagTable[option];
  for (const spelling of [flag.flag, ...flag.aliases]) {
    for (const prefix of prefixes) {
      const subject = prefix + environmentSuffix(spelling);
      const text = env[subject];
      if (text !== undefined && text !== '') addOne({ option, subject, text }, source);
    }
  }
}

function addOne(entry: Given, source: Source): void {
  const earlier = source.given.get(entry.option);
  if (earlier === undefined) {
    source.given.set(entry.option, entry);
  } else if (earlier.text !== entry.text) {
    const problem = `${earlier.subject} is set too, to "${earlier.text}"; keep one of the two or make them equal`;
    source.mistakes.push({ subject: entry.subject, given: entry.text, problem });
  }
}

const knownVariables: ReadonlySet<string> = new Set(knownFlags.map(environmentSuffix));

function noteUnknown(name: string, text: string | undefined, source: Source): void {
  const prefix = prefixes.find((candidate) => name.startsWith(candidate));
  if (prefix === undefined || text === undefined || text === '') return;
  const suffix = name.slice(prefix.length);
  if (knownVariables.has(suffix)) return;
  const flag = suffix.toLowerCase().replaceAll('_', '-');
  if (unsupportedFlag(flag) !== undefined) {
    const problem = `etcd has this flag, but it is not supported yet (${unsupportedFlag(flag)})`;
    source.mistakes.push({ subject: name, given: text, problem });
    return;
  }
  const near = nearest(flag, knownFlags);
  const hint = near === undefined ? '' : `; did you mean ${prefix}${environmentSuffix(near)}?`;
  source.notices.push({ level: 'warn', text: `unrecognized environment variable ${name} is ignored${hint}` });
}
