import { describe, expect, it } from 'vitest';
import { Arena, CHUNK_BYTES, ChunkPool } from './arena.js';
import { firstRecordAt, RecordKind, RedoCursor } from './redo-list.js';

function replay(arena: Arena): unknown[] {
  const seen: unknown[] = [];
  for (const [number, { memory, usedBytes }] of arena.redo().entries()) {
    const cursor = new RedoCursor(memory, firstRecordAt(number), usedBytes);
    while (cursor.next()) seen.push(recordAt(cursor));
  }
  return seen;
}

function recordAt(cursor: RedoCursor): unknown[] {
  const { kind, table, main, sub } = cursor;
  const value = Buffer.from(cursor.value()).toString('latin1');
  switch (kind) {
    case RecordKind.put:
      return [cursor.isSuperseded ? 'superseded put' : 'put', table, cursor.key(), value];
    case RecordKind.delete:
      return ['delete', table, cursor.key()];
    case RecordKind.appendLog:
      return ['append', main, sub, value];
    default:
      return ['deleteLog', main, sub];
  }
}

describe('Arena', () => {
  it('gives its records back in order, byte for byte', () => {
    const arena = new Arena(new ChunkPool(4));
    const long = '\xffk'.repeat(40);
    const put = arena.appendPut(3, 'short', Buffer.from('value'));
    arena.appendDelete(1, long);
    const row = arena.appendLog(2 ** 40 + 5, 0xffff_ffff, Buffer.from('row'));
    arena.appendDeleteLog(7, 2);
    arena.appendPut(0, '', new Uint8Array(0));
    expect(Buffer.from(arena.valueOfPut(put)).toString()).toBe('value');
    expect(Buffer.from(arena.rowOfLog(row)).toString()).toBe('row');
    expect(replay(arena)).toEqual([
      ['put', 3, 'short', 'value'],
      ['delete', 1, long],
      ['append', 2 ** 40 + 5, 0xffff_ffff, 'row'],
      ['deleteLog', 7, 2],
      ['put', 0, '', ''],
    ]);
  });

  it('tells which puts are superseded, also in an earlier chunk', () => {
    const arena = new Arena(new ChunkPool(4));
    const first = arena.appendPut(2, 'k', Buffer.from('1'));
    const second = arena.appendPut(2, 'k', Buffer.alloc(CHUNK_BYTES / 2));
    arena.supersede(first);
    const third = arena.appendPut(2, 'k', Buffer.alloc(CHUNK_BYTES / 2, '3'));
    arena.supersede(second);
    arena.appendDelete(2, 'other');
    expect(Buffer.from(arena.valueOfPut(first)).toString()).toBe('1');
    expect(replay(arena).map((record) => (record as unknown[]).slice(0, 3))).toEqual([
      ['superseded put', 2, 'k'],
      ['superseded put', 2, 'k'],
      ['put', 2, 'k'],
      ['delete', 2, 'other'],
    ]);
    expect(arena.valueOfPut(third)[0]).toBe('3'.charCodeAt(0));
  });

  it('goes on in further chunks, and gives a record longer than a chunk one of its own', () => {
    const arena = new Arena(new ChunkPool(4));
    const sizes = [
      CHUNK_BYTES / 2,
      CHUNK_BYTES / 2,
      CHUNK_BYTES,
      3 * CHUNK_BYTES,
      10,
      CHUNK_BYTES - 100,
      200,
    ];
    const addresses = sizes.map((size, at) => arena.appendPut(0, `k${at}`, Buffer.alloc(size, at)));
    for (const [at, address] of addresses.entries()) {
      const value = arena.valueOfPut(address);
      expect(value.length).toBe(sizes[at]);
      expect(value.every((byte) => byte === at)).toBe(true);
    }
    expect(replay(arena)).toHaveLength(sizes.length);
    expect(arena.bytes).toBeGreaterThan(6 * CHUNK_BYTES);
  });

  it('leaves ordinary chunks to its successor', () => {
    const pool = new ChunkPool(1);
    const first = new Arena(pool);
    first.appendPut(0, 'k', Buffer.from('old'));
    const [{ memory }] = first.redo();
    first.release();
    const second = new Arena(pool);
    expect(second.redo()[0].memory).toBe(memory);
    second.appendPut(0, 'k', Buffer.from('new'));
    expect(replay(second)).toEqual([['put', 0, 'k', 'new']]);
  });
});
