/** One thing that is wrong with the options, told so that the reader can put it right without looking anything up. */
export interface Mistake {
  /** The flag, environment variable or configuration key as it was given, or should have been. */
  readonly subject: string;
  /** The value as given; undefined when there is none (an unknown flag, a missing value). */
  readonly given: string | undefined;
  /** What is wrong, and if need be what to do, as a sentence without its full stop. */
  readonly problem: string;
  /** What would be accepted: form, unit and limits. */
  readonly expects?: string;
  readonly byDefault?: string;
}

function line(mistake: Mistake): string {
  const given = mistake.given === undefined ? '' : ` (given: "${clip(mistake.given)}")`;
  const expects = mistake.expects === undefined ? '' : `; expects ${mistake.expects}`;
  const byDefault = mistake.byDefault === undefined ? '' : `; default: ${mistake.byDefault}`;
  return `  ${mistake.subject}${given}: ${mistake.problem}${expects}${byDefault}`;
}

function clip(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

/** The options cannot be used. It carries every mistake that was found, not only the first. */
export class OptionsError extends Error {
  override readonly name = 'OptionsError';
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    const title = mistakes.length === 1 ? 'one option is wrong' : `${mistakes.length} options are wrong`;
    super([`${title}:`, ...mistakes.map(line), 'See `conclave server --help` for all options.'].join('\n'));
    this.mistakes = mistakes;
  }
}
