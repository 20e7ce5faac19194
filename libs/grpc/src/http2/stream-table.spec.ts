import { describe, expect, it } from 'vitest';
import { TestRandom } from './testing/random.js';
import { StreamTable } from './stream-table.js';
import { Stream } from './stream.js';

const streamOf = (id: number): Stream => new Stream(id, 65_535, 65_535);

describe('StreamTable', () => {
  it('finds streams whose identifiers want the same slot, whichever of them goes', () => {
    for (const gone of [1, 17, 33, 3]) {
      const table = new StreamTable();
      const streams = [1, 17, 33, 3].map(streamOf);
      for (const stream of streams) table.add(stream);
      table.delete(gone);
      const left = streams.filter(({ id }) => id !== gone);
      expect(left.map(({ id }) => table.get(id))).toEqual(left);
      expect([table.get(gone), table.size]).toEqual([undefined, 3]);
    }
  });

  it('does not know what was never added, and deletes it without effect', () => {
    const table = new StreamTable();
    table.add(streamOf(5));
    table.delete(7);
    expect([table.get(7), table.size]).toEqual([undefined, 1]);
  });

  it('lists its streams in the order of their identifiers', () => {
    const table = new StreamTable();
    for (let id = 99; id > 0; id -= 2) table.add(streamOf(id));
    expect(table.all().map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, at) => at * 2 + 1));
    table.clear();
    expect([table.all(), table.size, table.get(1)]).toEqual([[], 0, undefined]);
  });

  it('holds what a map holds while streams come in order and go in any', () => {
    const random = new TestRandom(7);
    const table = new StreamTable();
    const model = new Map<number, Stream>();
    for (let id = 1; id < 60_000; id += 2) {
      const stream = streamOf(id);
      table.add(stream);
      model.set(id, stream);
      const open = [...model.keys()];
      for (let ends = random.below(3); ends > 0; ends--) {
        const gone = open[random.below(open.length)];
        table.delete(gone);
        model.delete(gone);
      }
      expect(table.size).toBe(model.size);
      const asked = id - 2 * random.below(Math.min(200, (id + 1) / 2));
      expect(table.get(asked)).toBe(model.get(asked));
    }
    expect(table.all()).toEqual([...model.values()]);
  });
});
