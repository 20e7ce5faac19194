import { existsSync, readFileSync } from 'node:fs';
import { type OptionsDisk } from '../options/server-options.js';
import { memberDirectory } from './engine-settings.js';

/** The real disk, as far as reading the options needs it. */
export const optionsDisk: OptionsDisk = {
  readText(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
  holdsMember: (dataDir) => existsSync(memberDirectory(dataDir)),
};
