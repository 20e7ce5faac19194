import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AppliedMark, type Backend, type ByteString, type LogPosition, type Table } from './backend.js';
import { type BackendHarness, disposeAfterEach, type HarnessMaker } from './backend-harness.fixture.js';
import { TABLES } from './schema.js';

type Rows = Map<ByteString, string>;

/** The contract in its plainest form: unsorted maps, sorted for each question. */
class Model {
  readonly tables = new Map<Table, Rows>(TABLES.map((table) => [table, new Map()]));
  readonly log = new Map<string, string>();
  mark: AppliedMark = { index: 0, term: 0 };

  rows(table: Table): Rows {
    return this.tables.get(table) as Rows;
  }

  range(table: Table, from: ByteString, to: ByteString | undefined): [ByteString, string][] {
    return [...this.rows(table)]
      .filter(([key]) => key >= from && (to === undefined || key < to))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  logRange(from: LogPosition, to: LogPosition | undefined): [number, number, string][] {
    return [...this.log]
      .map(([at, row]): [number, number, string] => [Number(at.split('/')[0]), Number(at.split('/')[1]), row])
      .filter(([main, sub]) => !isBefore(main, sub, from) && (to === undefined || isBefore(main, sub, to)))
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  }

  copy(): Model {
    const copy = new Model();
    for (const [table, rows] of this.tables) copy.tables.set(table, new Map(rows));
    for (const [at, row] of this.log) copy.log.set(at, row);
    copy.mark = this.mark;
    return copy;
  }
}

function isBefore(main: number, sub: number, position: LogPosition): boolean {
  return main < position.main || (main === position.main && sub < position.sub);
}

type Step =
  | { readonly kind: 'put'; readonly table: Table; readonly key: ByteString; readonly value: string }
  | { readonly kind: 'delete'; readonly table: Table; readonly key: ByteString }
  | { readonly kind: 'append'; readonly gap: number; readonly row: string }
  | { readonly kind: 'deleteLog'; readonly choice: number }
  | { readonly kind: 'applied' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'settle' }
  | {
      readonly kind: 'read';
      readonly table: Table;
      readonly from: ByteString;
      readonly to: ByteString | undefined;
      readonly limit: number;
    };

// Few distinct keys, so that steps meet each other; long ones share their first bytes, at and around the limits.
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('', '\0', 'a', 'b', 'ba', 'bb', 'c', 'ÿ', 'ÿÿ') },
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom('\0', 'k', 'ÿ'), maxLength: 3 }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(1899, 1900, 1901, 1978, 1979, 5000), fc.constantFrom('', 'x', 'y', '\0', 'ÿ'))
      .map(([length, tail]) => 'L'.repeat(length - tail.length) + tail),
  },
);
const table = fc.constantFrom(...TABLES, 'head' as const);
const value = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: fc.constantFrom('\0', 'v', 'ÿ'), maxLength: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 70_000 }).map((length) => 'V'.repeat(length)) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), table, key, value }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), table, key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), gap: fc.nat(2), row: value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteLog' as const), choice: fc.nat(1000) }) },
  { weight: 4, arbitrary: fc.constant<Step>({ kind: 'applied' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'flush' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'settle' }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      table,
      from: key,
      to: fc.option(key, { nil: undefined }),
      limit: fc.nat(6),
    }),
  },
);

/** Runs steps against a backend and the model, and compares what they say. */
export class Runner {
  readonly model = new Model();
  /** The model at each boundary, by applied index. */
  readonly boundaries = [new Model()];
  private main = 1;
  private sub = -1;

  constructor(private readonly harness: BackendHarness) {}

  async run(steps: readonly Step[]): Promise<void> {
    for (const each of steps) await this.take(each);
  }

  private async take(each: Step): Promise<void> {
    const { backend } = this.harness;
    switch (each.kind) {
      case 'put':
        backend.put(each.table, each.key, Buffer.from(each.value, 'latin1'));
        this.model.rows(each.table).set(each.key, each.value);
        return;
      case 'delete':
        backend.delete(each.table, each.key);
        this.model.rows(each.table).delete(each.key);
        return;
      case 'append':
        return this.append(each.gap, each.row);
      case 'deleteLog':
        return this.deleteLog(each.choice);
      case 'applied':
        this.model.mark = { index: this.model.mark.index + 1, term: 1 };
        this.boundaries.push(this.model.copy());
        return backend.setApplied(this.model.mark);
      case 'flush':
        void backend.flush();
        return;
      case 'settle':
        return this.harness.settle();
      case 'read':
        return compareRange(backend, this.model, each.table, each.from, each.to, each.limit);
    }
  }

  private append(gap: number, row: string): void {
    if (gap === 0) this.sub++;
    else {
      this.main += gap;
      this.sub = 0;
    }
    this.harness.backend.appendLog(this.main, this.sub, Buffer.from(row, 'latin1'));
    this.model.log.set(`${this.main}/${this.sub}`, row);
  }

  private deleteLog(choice: number): void {
    const main = 1 + (choice % (this.main + 1));
    const sub = choice % 3;
    this.harness.backend.deleteLog(main, sub);
    this.model.log.delete(`${main}/${sub}`);
  }
}

export function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1');
}

function compareRange(
  backend: Backend,
  model: Model,
  name: Table,
  from: ByteString,
  to: ByteString | undefined,
  limit: number,
): void {
  const expected = model.range(name, from, to);
  expect(backend.count(name, from, to)).toBe(expected.length);
  expect(text(backend.get(name, from))).toBe(model.rows(name).get(from));
  for (const reverse of [false, true]) {
    const rows: [ByteString, string | undefined][] = [];
    backend.scan(name, from, to, { reverse }, (at, bytes) => {
      rows.push([at, text(bytes)]);
      return rows.length < limit;
    });
    const wanted = reverse ? [...expected].reverse() : expected;
    expect(rows).toEqual(wanted.slice(0, Math.max(1, limit)));
  }
}

/** Compares everything that can be read. */
export function compareAll(backend: Backend, model: Model): void {
  for (const name of TABLES) {
    compareRange(backend, model, name, '', undefined, Infinity);
    compareRange(backend, model, name, 'b', 'ÿ', Infinity);
    for (const [at, bytes] of model.rows(name)) expect(text(backend.get(name, at))).toBe(bytes);
  }
  const rows: [number, number, string | undefined][] = [];
  backend.scanLog({ main: 0, sub: 0 }, undefined, (main, sub, row) => void rows.push([main, sub, text(row)]));
  expect(rows).toEqual(model.logRange({ main: 0, sub: 0 }, undefined));
  for (const [main, sub, row] of rows) expect(text(backend.getLog(main, sub))).toBe(row);
  const [low, high] = [rows[rows.length >> 2], rows[rows.length >> 1]];
  if (low === undefined || high === undefined) return;
  const from = { main: low[0], sub: low[1] };
  const to = { main: high[0], sub: high[1] };
  const part: [number, number, string | undefined][] = [];
  backend.scanLog(from, to, (main, sub, row) => void part.push([main, sub, text(row)]));
  expect(part).toEqual(model.logRange(from, to));
}

/** What every backend does. `runs` histories are tried for each property. */
export function describeBackendContract(name: string, make: HarnessMaker, runs: number): void {
  describe(`${name} as a backend`, () => {
    const start = disposeAfterEach(make);
    describeProperties(make, runs);
    describeDurability(start);
    describeRules(start);
  });
}

export const history = fc.array(step, { minLength: 20, maxLength: 150 });
const generationRows = fc.integer({ min: 1, max: 25 });

function describeProperties(make: HarnessMaker, runs: number): void {
  const tryHistories = (check: (harness: BackendHarness, runner: Runner) => Promise<void>): Promise<void> =>
    fc.assert(
      fc.asyncProperty(history, generationRows, async (steps, rowsMax) => {
        const harness = await make(rowsMax);
        try {
          const runner = new Runner(harness);
          await runner.run(steps);
          await check(harness, runner);
        } finally {
          await harness.dispose();
        }
      }),
      { numRuns: runs },
    );

  it('reads what a plain map would hold, whatever lies in which layer', async () => {
    await tryHistories((harness, { model }) => {
      compareAll(harness.backend, model);
      expect(harness.backend.applied).toEqual(model.mark);
      return Promise.resolve();
    });
  });

  it('is after a crash exactly at one boundary that is flushed or later', async () => {
    await tryHistories(async (harness, { boundaries }) => {
      const flushed = harness.backend.flushed.index;
      const survivor = await harness.reopen();
      expect(survivor.applied.index).toBeGreaterThanOrEqual(flushed);
      expect(survivor.flushed).toEqual(survivor.applied);
      compareAll(survivor, boundaries[survivor.applied.index]);
    });
  });
}

function describeDurability(start: HarnessMaker): void {
  it('keeps everything that flush() promised', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    backend.put('head', 'kept', Buffer.from('1'));
    backend.appendLog(7, 0, Buffer.from('row'));
    backend.setApplied({ index: 5, term: 2 });
    const durable = backend.flush();
    backend.put('head', 'lost', Buffer.from('2'));
    await harness.settle();
    await durable;
    expect(backend.flushed).toEqual({ index: 5, term: 2 });
    expect(text(backend.get('head', 'lost'))).toBe('2');
    const survivor = await harness.reopen();
    expect(survivor.applied).toEqual({ index: 5, term: 2 });
    expect(text(survivor.get('head', 'kept'))).toBe('1');
    expect(text(survivor.getLog(7, 0))).toBe('row');
    expect(survivor.get('head', 'lost')).toBeUndefined();
  });

  it('tells of each flush once, in order', async () => {
    const harness = await start(2);
    const marks: number[] = [];
    harness.backend.onFlushed = (mark) => marks.push(mark.index);
    for (let index = 1; index <= 5; index++) {
      harness.backend.put('meta', 'a', Buffer.from([index]));
      harness.backend.put('meta', 'b', Buffer.from([index]));
      harness.backend.setApplied({ index, term: 1 });
      await harness.settle();
    }
    expect(marks).toEqual([1, 2, 3, 4, 5]);
    expect(harness.backend.stats.flushLagEntries).toBe(0);
  });

  it('never writes a part of an entry', async () => {
    const harness = await start(2);
    const { backend } = harness;
    backend.put('head', 'a', Buffer.from('1'));
    backend.setApplied({ index: 1, term: 1 });
    for (let at = 0; at < 10; at++) backend.put('head', `half of an entry ${at}`, Buffer.from('2'));
    void backend.flush();
    await harness.settle();
    const survivor = await harness.reopen();
    expect(survivor.count('head', '', undefined)).toBeLessThanOrEqual(1);
  });
}

function describeRules(start: HarnessMaker): void {
  it('refuses what its callers must not do', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    backend.appendLog(3, 1, Buffer.from('row'));
    expect(() => backend.appendLog(3, 1, Buffer.from('again'))).toThrow(/does not follow/);
    expect(() => backend.appendLog(2, 9, Buffer.from('before'))).toThrow(/does not follow/);
    expect(() => backend.getLog(1.5, 0)).toThrow(/safe integer/);
    backend.setApplied({ index: 2, term: 2 });
    expect(() => backend.setApplied({ index: 1, term: 2 })).toThrow(/never decreases/);
    backend.put('head', 'a', Buffer.from('1'));
    backend.scan('head', '', undefined, {}, () => {
      expect(() => backend.put('head', 'b', Buffer.from('2'))).toThrow(/visit does not write/);
    });
    await backend.close();
    await backend.close();
    expect(() => backend.get('head', 'a')).toThrow(/closed backend/);
    expect(() => backend.put('head', 'a', Buffer.from('1'))).toThrow(/closed backend/);
  });

  it('stores what it was given, whatever the caller does with it later', async () => {
    const harness = await start(1000);
    const bytes = Buffer.from('before');
    harness.backend.put('head', 'a', bytes);
    harness.backend.appendLog(1, 0, bytes);
    bytes.fill(0);
    expect(text(harness.backend.get('head', 'a'))).toBe('before');
    expect(text(harness.backend.getLog(1, 0))).toBe('before');
  });
}
