import { etcdserverpb } from '@conclave/protocol';
import { type History, keyRange, type Version } from './history.js';

const { Compare_CompareResult: Result, Compare_CompareTarget: Target } = etcdserverpb;

/** Whether a compare holds: for every key of its range, or for the missing key when there is none. */
export function holds(history: History, compare: etcdserverpb.Compare, revision: number): boolean {
  const rows = history.rows(keyRange(compare.key, compare.range_end), revision);
  if (rows.length > 0) return rows.every((row) => holdsFor(compare, row));
  return compare.target !== Target.VALUE && holdsFor(compare, undefined);
}

function holdsFor(compare: etcdserverpb.Compare, row: Version | undefined): boolean {
  const [found, given] = operands(compare, row);
  switch (compare.result) {
    case Result.EQUAL:
      return found === given;
    case Result.NOT_EQUAL:
      return found !== given;
    case Result.GREATER:
      return found > given;
    default:
      return found < given;
  }
}

function operands(
  compare: etcdserverpb.Compare,
  row: Version | undefined,
): [bigint | string, bigint | string] {
  const union = compare.target_union;
  switch (union?.$case) {
    case 'value':
      return [row?.value ?? '', union.value.toString('latin1')];
    case 'create_revision':
      return [BigInt(row?.create ?? 0), union.value];
    case 'mod_revision':
      return [BigInt(row?.mod ?? 0), union.value];
    case 'lease':
      return [row?.lease ?? 0n, union.value];
    default:
      return [BigInt(row?.version ?? 0), union?.value ?? 0n];
  }
}
