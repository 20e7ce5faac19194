import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type CachedEntry, type CachedState } from './cache-store.js';
import { seal, type SealedValue, unseal } from './sealed-value.js';

/**
 * The file of a cached state: a line with the format version and the checksum of the second line, and a second line with the state.
 * 64-bit numbers are decimal text, values are base64.
 */
export const cacheFormatVersion = 1;

/** How the values of some keys are kept. Without a key they are left out. */
export interface SecretHandling {
  isSecret(key: string): boolean;
  readonly key: Uint8Array | undefined;
}

interface StoredEntry {
  readonly key: string;
  readonly modRevision: string;
  readonly value?: string;
  readonly sealed?: SealedValue;
}

interface StoredState {
  readonly id: readonly string[];
  readonly clusterId: string;
  readonly revision: string;
  readonly savedAt: number;
  readonly entries: readonly StoredEntry[];
}

export function encodeCachedState(
  id: readonly string[],
  state: CachedState,
  secrets: SecretHandling,
): Buffer {
  const stored: StoredState = {
    id,
    clusterId: state.clusterId.toString(),
    revision: state.revision.toString(),
    savedAt: state.savedAt,
    entries: state.entries.flatMap((entry) => storedEntry(id, entry, secrets)),
  };
  const body = JSON.stringify(stored);
  const head = JSON.stringify({ 'conclave-cache': cacheFormatVersion, sha256: sha256Of(body) });
  return Buffer.from(`${head}\n${body}\n`, 'utf8');
}

function storedEntry(id: readonly string[], entry: CachedEntry, secrets: SecretHandling): StoredEntry[] {
  const common = { key: entry.key, modRevision: entry.modRevision.toString() };
  if (!secrets.isSecret(entry.key))
    return [{ ...common, value: Buffer.from(entry.value).toString('base64') }];
  if (secrets.key === undefined) return [];
  return [{ ...common, sealed: seal(secrets.key, [...id, entry.key], entry.value) }];
}

/** A decoded state, and how many of its values this process cannot open. */
export interface DecodedState {
  readonly state: CachedState;
  readonly unopened: number;
}

/** @throws Error that says what is wrong with the file. */
export function decodeCachedState(
  id: readonly string[],
  file: Buffer,
  secrets: SecretHandling,
): DecodedState {
  const text = file.toString('utf8');
  const end = text.indexOf('\n');
  const head = parseObject(text.slice(0, Math.max(0, end)), 'its first line');
  const version = head['conclave-cache'];
  if (typeof version !== 'number') throw new Error('it is no cache file');
  if (version > cacheFormatVersion) {
    throw new Error(
      `its format version ${version} is newer than ${cacheFormatVersion}, which this program writes`,
    );
  }
  const body = text.slice(end + 1, -1);
  if (!text.endsWith('\n') || head['sha256'] !== sha256Of(body))
    throw new Error('its checksum does not fit: it is damaged');
  // From here on it is what this program wrote.
  const stored = parseObject(body, 'its second line') as unknown as StoredState;
  if (JSON.stringify(stored.id) !== JSON.stringify(id)) throw new Error('it is the cache of something else');
  const entries = stored.entries.map((entry) => openedEntry(id, entry, secrets));
  const opened = entries.filter((entry) => entry !== undefined);
  return {
    state: {
      clusterId: BigInt(stored.clusterId),
      revision: BigInt(stored.revision),
      savedAt: stored.savedAt,
      entries: opened,
    },
    unopened: entries.length - opened.length,
  };
}

function openedEntry(
  id: readonly string[],
  entry: StoredEntry,
  secrets: SecretHandling,
): CachedEntry | undefined {
  const value =
    entry.sealed === undefined
      ? Buffer.from(entry.value ?? '', 'base64')
      : secrets.key && unseal(secrets.key, [...id, entry.key], entry.sealed);
  return value === undefined ? undefined : { key: entry.key, value, modRevision: BigInt(entry.modRevision) };
}

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${what} is not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw new Error(`${what} is not a JSON object`);
  return value as Record<string, unknown>;
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
