import { unknownFlag } from './arguments.js';
import { isObject, parseConfigDocument } from './config-document.js';
import { flagTable, type OptionName, optionOf } from './flag-table.js';
import { emptySource, type Source } from './given.js';

/** etcd keeps TLS settings in sections of their own; ours are these flags. */
const sections: ReadonlyMap<string, (key: string) => string> = new Map([
  ['client-transport-security', (key: string) => key],
  ['peer-transport-security', (key: string) => `peer-${key}`],
]);

/**
 * Reads a configuration file, YAML or JSON: one object whose keys are the names of flags. Lists may be arrays or texts
 * with commas. A key without a value (`wal-dir:`) counts as not given, as in etcd's own example.
 */
export function readConfigFile(path: string, content: string): Source {
  const source = emptySource();
  const document = parseConfigDocument(content);
  if ('keys' in document) readKeys(document.keys, (key) => key, '', source);
  else {
    for (const reason of document.problems) {
      const problem = `the file is neither a YAML nor a JSON object: ${reason}`;
      source.mistakes.push({ subject: '--config-file', given: path, problem });
    }
  }
  return source;
}

function readKeys(object: object, flagOf: (key: string) => string, section: string, source: Source): void {
  for (const [key, value] of Object.entries(object) as [string, unknown][]) {
    const subject = `config file key "${section}${key}"`;
    const nested = section === '' ? sections.get(key) : undefined;
    if (nested !== undefined) {
      if (isObject(value)) readKeys(value, nested, `${key}.`, source);
      else if (value !== null)
        source.mistakes.push({ subject, given: undefined, problem: 'it must be an object' });
      continue;
    }
    const option = optionOf(flagOf(key));
    const text = asText(value);
    if (option === undefined) source.mistakes.push(unknownFlag(flagOf(key), text, subject));
    else if (value === null) continue;
    else if (text === undefined)
      source.mistakes.push({
        subject,
        given: undefined,
        problem: 'it must be a text, number, boolean or list of texts',
      });
    else readEntry(option, subject, text, value, source);
  }
}

/** etcd's own files give durations as numbers of nanoseconds where the flag wants a unit. */
function readEntry(option: OptionName, subject: string, text: string, value: unknown, source: Source): void {
  if (option === 'configFile') {
    source.mistakes.push({ subject, given: text, problem: 'a configuration file cannot name another one' });
    return;
  }
  const unit = typeof value === 'number' && value !== 0 ? flagTable[option].configNumberUnit : undefined;
  source.given.set(option, { option, subject, text: text + (unit ?? '') });
}

function asText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',');
  return undefined;
}
