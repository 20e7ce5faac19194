import { type Flag, InvalidFlagValue } from './flag.js';
import { flagTable, type OptionName, optionNames, type OptionValues } from './flag-table.js';
import { type Mistake } from './options-error.js';

/** A value that somebody gave for an option, and where: `--name`, `ETCD_NAME`, or a key of the configuration file. */
export interface Given {
  readonly option: OptionName;
  readonly subject: string;
  readonly text: string;
}

/** A line about the options that is logged at start. */
export interface Notice {
  readonly level: 'info' | 'warn';
  readonly text: string;
}

/** What one source of options said, and what was wrong with how it said it. */
export interface Source {
  readonly given: Map<OptionName, Given>;
  readonly mistakes: Mistake[];
  readonly notices: Notice[];
}

export function emptySource(): Source {
  return { given: new Map(), mistakes: [], notices: [] };
}

/** What a flag falls back to, as people read it. */
export function defaultOf(flag: Flag<unknown>): string {
  return flag.defaultNote ?? (flag.defaultText === '' ? 'none' : flag.defaultText);
}

/** A mistake about the value of one flag, with everything that its row of the table knows. */
export function mistakeAbout(
  flag: Flag<unknown>,
  subject: string,
  given: string | undefined,
  problem: string,
): Mistake {
  return { subject, given, problem, expects: flag.expects, byDefault: defaultOf(flag) };
}

/**
 * Turns texts into values; what was not given takes its default. Texts that cannot be read are added to `mistakes` and
 * stand as their defaults, so that the checks that follow can go on and find more.
 */
export function parseGiven(given: ReadonlyMap<OptionName, Given>, mistakes: Mistake[]): OptionValues {
  const values: Record<string, unknown> = {};
  for (const option of optionNames) {
    const flag: Flag<unknown> = flagTable[option];
    const entry = given.get(option);
    values[option] = entry === undefined ? flag.parse(flag.defaultText) : parseOne(flag, entry, mistakes);
  }
  return values as unknown as OptionValues;
}

function parseOne(flag: Flag<unknown>, entry: Given, mistakes: Mistake[]): unknown {
  try {
    return flag.parse(entry.text);
  } catch (error) {
    if (!(error instanceof InvalidFlagValue)) throw error;
    mistakes.push(mistakeAbout(flag, entry.subject, entry.text, error.message));
    return flag.parse(flag.defaultText);
  }
}
