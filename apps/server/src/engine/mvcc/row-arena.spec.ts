import { describe, expect, it } from 'vitest';
import { RowArena } from './row-arena.js';

describe('RowArena', () => {
  it('gives views of the chunk of the moment', () => {
    const arena = new RowArena();
    for (const bytes of [0, 100_000, 0]) {
      arena.reset();
      arena.reserve(bytes);
      for (let at = 0; at < arena.buffer.length; at++) arena.buffer[at] = at % 251;
      const view = arena.view(5, 300);
      expect(view).toEqual(new Uint8Array(arena.buffer.subarray(5, 300)));
      view[0] = 255;
      expect(arena.buffer[5]).toBe(255);
    }
  });

  it('leaves what was handed out where it is until the reset', () => {
    const arena = new RowArena();
    arena.buffer.fill(1);
    arena.at = 60_000;
    const early = arena.view(0, 10);
    arena.reserve(10_000);
    expect(arena.at).toBe(0);
    arena.buffer.fill(2);
    expect(early).toEqual(new Uint8Array(10).fill(1));
    expect(arena.view(0, 10)).toEqual(new Uint8Array(10).fill(2));
  });
});
