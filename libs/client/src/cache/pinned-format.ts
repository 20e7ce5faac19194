import { type PinnedState } from './cache-store.js';

const pinnedVersion = 1;

/**
 * A file that an operator writes by hand: `{ "version": 1, "entries": { "<name>": <value>, … } }`.
 *
 * @throws Error that says what is wrong with it.
 */
export function decodePinned(text: string, source: string): PinnedState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`it is not JSON: ${(error as Error).message}`);
  }
  const { version, entries } = (value ?? {}) as { readonly version?: unknown; readonly entries?: unknown };
  if (version !== pinnedVersion) {
    throw new Error(
      `its "version" is ${JSON.stringify(version) ?? 'missing'}; this program reads version ${pinnedVersion}`,
    );
  }
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries)) {
    throw new Error('its "entries" is not an object; write { "version": 1, "entries": { … } }');
  }
  return { source, entries: new Map(Object.entries(entries)) };
}
