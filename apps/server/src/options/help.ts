import { flagGroups } from './flag-table.js';
import { type Flag } from './flag.js';
import { defaultOf } from './given.js';

/** Every flag by group, each with its default, meaning and limits: the text of `conclave server --help`. */
export function flagHelp(): string {
  return flagGroups.map(({ title, flags }) => `${title}:\n${flags.map(flagLines).join('\n')}`).join('\n\n');
}

function flagLines(flag: Flag<unknown>): string {
  const aliases =
    flag.aliases.length === 0 ? '' : ` Also known as ${flag.aliases.map((name) => `--${name}`).join(', ')}.`;
  const effect = flag.withoutEffect === undefined ? '' : ` No effect: ${flag.withoutEffect}.`;
  return [
    `  --${flag.flag} (default: ${defaultOf(flag)})`,
    `      ${flag.description}${effect}${aliases}`,
    `      Expects ${flag.expects}.`,
  ].join('\n');
}
