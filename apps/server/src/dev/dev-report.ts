import { type FolderChange } from './folder-publisher.js';
import { type FolderMistake, nameOf } from './folder-scan.js';

/** Paths that one line names. */
const namedMax = 8;

/** One line about what became of a namespace; values are never shown, since they may be secret. */
export function changeLine(change: FolderChange): string {
  const name = nameOf(change.id);
  if (change.kind === 'withdrawn')
    return `withdrawn  ${name}  (its file is gone; release ${change.release} was in force)`;
  const { file, release, keys } = change;
  const head = `${change.kind === 'published' ? 'published' : 'unchanged'}  ${name}  release ${release}  (${file})`;
  if (change.kind === 'unchanged') return `${head}: ${counted(keys)}`;
  const isFirst = change.changed.length + change.removed.length === 0 && change.added.length === keys;
  if (isFirst) return `${head}: ${counted(keys)}`;
  const parts = [
    list('changed', change.changed),
    list('added', change.added),
    list('removed', change.removed),
  ];
  return `${head}: ${parts.filter((part) => part !== '').join('; ') || 'the same values'}`;
}

/** `file:line:column`, which editors and terminals can open. */
export function mistakeLine(folder: string, mistake: FolderMistake, inForce: bigint | undefined): string {
  const { file, position, problem, remedy } = mistake;
  const place = position === undefined ? '' : `:${position.line}:${position.column}`;
  const stays = inForce === undefined ? 'nothing of it is served' : `release ${inForce} stays in force`;
  return `mistake    ${folder}/${file}${place}: ${problem}; ${remedy} (${stays})`;
}

function counted(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`;
}

function list(what: string, paths: readonly string[]): string {
  if (paths.length === 0) return '';
  const named = paths.slice(0, namedMax).map((path) => path || 'the text');
  const rest = paths.length > namedMax ? ` and ${paths.length - namedMax} more` : '';
  return `${what} ${named.join(', ')}${rest}`;
}
