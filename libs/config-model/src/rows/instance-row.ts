import { ConfigModelError } from '../error.js';
import { isTree } from '../value.js';
import { RowReader, rowVersion } from './row-reader.js';

/** What an instance says about one namespace. */
export interface AppliedRelease {
  readonly state: 'applied' | 'rejected' | 'missing';
  /** The release that was applied, or the one that was rejected; 0n when there is none. */
  readonly release: bigint;
  readonly sha256: string;
  /** The gray rule that chose it. */
  readonly gray?: string;
  /** Why it was rejected. */
  readonly error?: string;
}

/** The value of an instance's key, bound to its lease. */
export interface InstanceRow {
  readonly sdk: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string | undefined;
  /** By `app/namespace`. */
  readonly namespaces: ReadonlyMap<string, AppliedRelease>;
}

export function encodeInstance(row: InstanceRow): string {
  const namespaces = [...row.namespaces].map(([name, applied]) => [
    name,
    { ...applied, release: applied.release.toString() },
  ]);
  const { sdk, labels, address } = row;
  return JSON.stringify({
    version: rowVersion,
    sdk,
    labels,
    ...(address === undefined ? {} : { address }),
    namespaces: Object.fromEntries(namespaces) as object,
  });
}

/** @throws ConfigModelError `invalid-row`, `newer-format`. */
export function decodeInstance(text: string): InstanceRow {
  const row = RowReader.open(text, 'the report of an instance');
  const labels = Object.entries(row.object('labels')).map(([name, value]) => [name, String(value)]);
  const namespaces = new Map<string, AppliedRelease>();
  for (const [name, applied] of Object.entries(row.object('namespaces'))) {
    if (!isTree(applied)) throw row.wrong(`namespaces.${name}`, 'an object');
    const { state, release, sha256, gray, error } = applied;
    if (state !== 'applied' && state !== 'rejected' && state !== 'missing')
      throw row.wrong(`namespaces.${name}.state`, 'applied, rejected or missing');
    if (typeof release !== 'string' || !/^\d{1,20}$/.test(release) || typeof sha256 !== 'string') {
      throw new ConfigModelError('invalid-row', `the report of an instance: '${name}' names no release`);
    }
    namespaces.set(name, {
      state,
      release: BigInt(release),
      sha256,
      ...(typeof gray === 'string' ? { gray } : {}),
      ...(typeof error === 'string' ? { error } : {}),
    });
  }
  return {
    sdk: row.string('sdk'),
    labels: Object.fromEntries(labels) as Record<string, string>,
    address: row.optionalString('address'),
    namespaces,
  };
}
