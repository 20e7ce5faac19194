import { formatDuration, parseDuration } from './duration.js';
import { type HostUrl, parseHostUrl } from './listen-url.js';

/**
 * One option of the server: one row of the table that drives parsing, checking, help and documentation.
 * `parse` turns the text that a person gave into a value and throws {@link InvalidFlagValue} when it cannot.
 */
export interface Flag<T> {
  /** Name on the command line, `heartbeat-interval`; the environment has it as `ETCD_HEARTBEAT_INTERVAL`. */
  readonly flag: string;
  readonly description: string;
  /** What a valid value looks like, with its unit and limits, as a phrase after "expects". */
  readonly expects: string;
  /** The default as one would give it. */
  readonly defaultText: string;
  /** Shown instead of `defaultText` when the default depends on other options. */
  readonly defaultNote: string | undefined;
  /** A toggle may stand alone (`--pre-vote`); all other flags take a value. */
  readonly isToggle: boolean;
  /** What a bare number in a configuration file counts, where the command line wants a unit: etcd writes nanoseconds there. */
  readonly configNumberUnit: 'ns' | undefined;
  /** Names that older releases of etcd used for the same option. */
  readonly aliases: readonly string[];
  /** Accepted so that existing command lines work, without effect here; says why there is nothing to set. */
  readonly withoutEffect: string | undefined;
  parse(text: string): T;
}

/** Why a value was refused; the message is a sentence about the value, without the flag's name. */
export class InvalidFlagValue extends Error {
  override readonly name = 'InvalidFlagValue';
}

/** The parts of a row that most rows leave out. */
interface Details {
  readonly defaultNote?: string;
  readonly aliases?: readonly string[];
  readonly withoutEffect?: string;
}

type Parse<T> = (text: string) => T;

function row<T>(
  flag: string,
  defaultText: string,
  description: string,
  expects: string,
  details: Details,
  parse: Parse<T>,
): Flag<T> {
  const { defaultNote, aliases = [], withoutEffect } = details;
  const isToggle = false;
  const configNumberUnit = undefined;
  return {
    flag,
    description,
    expects,
    defaultText,
    defaultNote,
    isToggle,
    configNumberUnit,
    aliases,
    withoutEffect,
    parse,
  };
}

export function text(
  flag: string,
  byDefault: string,
  description: string,
  details: Details = {},
): Flag<string> {
  return row(flag, byDefault, description, 'text', details, (given) => given);
}

export function toggle(
  flag: string,
  byDefault: boolean,
  description: string,
  details: Details = {},
): Flag<boolean> {
  const parse = (given: string): boolean => {
    if (/^(1|t|true)$/i.test(given)) return true;
    if (/^(0|f|false)$/i.test(given)) return false;
    throw new InvalidFlagValue('it is neither true nor false');
  };
  return { ...row(flag, String(byDefault), description, 'true or false', details, parse), isToggle: true };
}

export function choice<T extends string>(
  flag: string,
  byDefault: NoInfer<T>,
  allowed: readonly T[],
  description: string,
  details: Details = {},
): Flag<T> {
  return row<T>(flag, byDefault, description, `one of ${allowed.join(', ')}`, details, (given) => {
    const found = allowed.find((candidate) => candidate === given);
    if (found === undefined) throw new InvalidFlagValue('it is not one of the known choices');
    return found;
  });
}

/** Inclusive bounds of a number, and what it counts (`bytes`, `milliseconds`). */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

export function wholeNumber(
  flag: string,
  byDefault: number,
  bounds: Bounds,
  description: string,
  details: Details = {},
): Flag<number> {
  const { min, max, unit } = bounds;
  const expects = `a whole number of ${unit} between ${min} and ${max}`;
  return row(flag, String(byDefault), description, expects, details, (given) => {
    if (!/^-?\d{1,16}$/.test(given)) throw new InvalidFlagValue('it is not a whole number');
    return within(Number(given), min, max, String);
  });
}

function within(value: number, min: number, max: number, format: (value: number) => string): number {
  if (value < min) throw new InvalidFlagValue(`it is less than ${format(min)}`);
  if (value > max) throw new InvalidFlagValue(`it is more than ${format(max)}`);
  return value;
}

/** A duration with units. The value is in milliseconds; `plainUnit: 'ms'` also accepts etcd's bare numbers of milliseconds. */
export function duration(
  flag: string,
  byDefault: string,
  bounds: { readonly min: number; readonly max: number; readonly plainUnit?: 'ms' },
  description: string,
  details: Details = {},
): Flag<number> {
  const { min, max, plainUnit } = bounds;
  const form =
    plainUnit === 'ms'
      ? 'milliseconds, or a duration such as 100ms or 1s,'
      : 'a duration such as 100ms, 5s or 1h';
  const expects = `${form} between ${formatDuration(min)} and ${formatDuration(max)}`;
  const parse = (given: string): number => {
    const plain = plainUnit === 'ms' && /^\d{1,12}$/.test(given) ? Number(given) : undefined;
    const value = plain ?? parseDuration(given);
    if (value === undefined)
      throw new InvalidFlagValue('it is not a duration (a number with a unit: ns, us, ms, s, m, h)');
    return within(value, min, max, formatDuration);
  };
  const configNumberUnit = plainUnit === undefined ? 'ns' : undefined;
  return { ...row(flag, byDefault, description, expects, details, parse), configNumberUnit };
}

export function urlList(
  flag: string,
  byDefault: string,
  description: string,
  details: Details = {},
): Flag<readonly HostUrl[]> {
  return row(
    flag,
    byDefault,
    description,
    'one or more URLs http://host:port, separated by commas',
    details,
    (given) => {
      if (given === '') return [];
      const urls: HostUrl[] = [];
      const mistakes: string[] = [];
      for (const part of given.split(',')) {
        const url = parseHostUrl(part);
        if (typeof url === 'string') mistakes.push(url);
        else urls.push(url);
      }
      if (mistakes.length > 0) throw new InvalidFlagValue(mistakes.join('; '));
      return urls;
    },
  );
}

export function textList(
  flag: string,
  byDefault: string,
  description: string,
  details: Details = {},
): Flag<readonly string[]> {
  return row(flag, byDefault, description, 'a list separated by commas', details, (given) =>
    given
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
}
