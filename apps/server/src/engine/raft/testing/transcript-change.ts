import { type ConfChange, type ConfTransition, type SingleChange } from '../confchange/conf-change.js';

const SIGNS = new Map<string, SingleChange['type']>([
  ['+', 'add-voter'],
  ['~', 'add-learner'],
  ['-', 'remove'],
]);

/** `+2 ~3 -4 explicit`: as the transcripts print a change; `leave` has no parts. @throws Error when it is none. */
export function parseChange(words: readonly string[]): ConfChange {
  let transition: ConfTransition = 'auto';
  const changes: SingleChange[] = [];
  for (const word of words) {
    if (word === 'leave') continue;
    if (word === 'explicit' || word === 'implicit') transition = word;
    else {
      const type = SIGNS.get(word.slice(0, 1));
      if (type === undefined) throw new Error(`unknown change "${word}"`);
      changes.push({ type, member: BigInt(word.slice(1)) });
    }
  }
  return { changes, transition, context: new Uint8Array(0) };
}
