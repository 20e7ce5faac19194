import { etcdserverpb } from '@conclave/protocol';
import { type History, keyRange, type Version } from './history.js';
import { rangeText, versionText } from './texts.js';

const { RangeRequest_SortOrder: Order, RangeRequest_SortTarget: Target } = etcdserverpb;

/** What a reader may see: revisions from `compacted` to `current`. */
export interface Horizon {
  readonly compacted: number;
  readonly current: number;
}

/** Why a read at a revision is refused; undefined when it is not. A revision of 0 or less is the current one. */
export function refusal(revision: bigint, horizon: Horizon): 'Compacted' | 'FutureRev' | undefined {
  if (revision > BigInt(horizon.current)) return 'FutureRev';
  return revision > 0n && revision < BigInt(horizon.compacted) ? 'Compacted' : undefined;
}

/** The answer to a range. `now` is the revision that 0 means: within a transaction that has written, the one it makes. */
export function readRange(history: History, request: etcdserverpb.RangeRequest, now: number): string {
  const revision = request.revision > 0n ? Number(request.revision) : now;
  const all = history.rows(keyRange(request.key, request.range_end), revision);
  if (request.count_only) return rangeText([], false, all.length);
  const limit = request.limit > 0n ? Number(request.limit) : all.length;
  const rows = sorted(filtered(all, request), request);
  const shown = rows
    .slice(0, limit)
    .map((row) => versionText(request.keys_only ? { ...row, value: '' } : row));
  return rangeText(shown, rows.length > limit, all.length);
}

function filtered(rows: Version[], request: etcdserverpb.RangeRequest): Version[] {
  const within = (value: number, low: bigint, high: bigint): boolean =>
    (low <= 0n || BigInt(value) >= low) && (high <= 0n || BigInt(value) <= high);
  return rows.filter(
    (row) =>
      within(row.mod, request.min_mod_revision, request.max_mod_revision) &&
      within(row.create, request.min_create_revision, request.max_create_revision),
  );
}

/** By what has no ties here, since the contract does not order ties. */
function sorted(rows: Version[], request: etcdserverpb.RangeRequest): Version[] {
  if (request.sort_order === Order.NONE) return rows;
  const by = (row: Version): string | number => {
    if (request.sort_target === Target.CREATE) return row.create;
    return request.sort_target === Target.VALUE ? row.value : row.key;
  };
  const direction = request.sort_order === Order.DESCEND ? -1 : 1;
  return [...rows].sort((a, b) => (by(a) < by(b) ? -direction : direction));
}
