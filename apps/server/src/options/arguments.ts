import { type Flag } from './flag.js';
import { flagTable, knownFlags, optionOf } from './flag-table.js';
import { emptySource, mistakeAbout, type Source } from './given.js';
import { nearest } from './nearest.js';
import { type Mistake } from './options-error.js';
import { unsupportedFlag } from './unsupported-flags.js';

/**
 * Reads a command line the way etcd does: `--flag=value`, `--flag value`, the same with one dash, toggles alone or
 * with `=false`. A flag given twice takes its last value.
 */
export function readArguments(argv: readonly string[]): Source {
  const source = emptySource();
  const words = argv[Symbol.iterator]();
  for (let word = words.next(); word.done !== true; word = words.next()) readWord(word.value, words, source);
  return source;
}

function readWord(word: string, words: Iterator<string>, source: Source): void {
  const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(word);
  if (match === null) {
    source.mistakes.push({
      subject: `"${word}"`,
      given: undefined,
      problem: 'it is not a flag; flags start with --',
    });
    return;
  }
  const [, name = '', attached] = match;
  const option = optionOf(name);
  if (option === undefined) {
    source.mistakes.push(unknownFlag(name, attached));
    return;
  }
  const flag: Flag<unknown> = flagTable[option];
  const text = attached ?? (flag.isToggle ? 'true' : nextValue(words));
  if (text === undefined)
    source.mistakes.push(mistakeAbout(flag, `--${name}`, undefined, 'it needs a value'));
  else source.given.set(option, { option, subject: `--${name}`, text });
}

function nextValue(words: Iterator<string>): string | undefined {
  const next = words.next();
  return next.done === true ? undefined : next.value;
}

/** Explains a flag that the table does not have: one of etcd's that is not supported, or a slip of the pen. */
export function unknownFlag(name: string, given: string | undefined, subject = `--${name}`): Mistake {
  const sets = unsupportedFlag(name);
  if (sets !== undefined) {
    return { subject, given, problem: `etcd has this flag, but it is not supported yet (${sets})` };
  }
  const near = nearest(name, knownFlags);
  const hint = near === undefined ? '' : `; did you mean --${near}?`;
  return { subject, given, problem: `there is no such flag${hint}` };
}
