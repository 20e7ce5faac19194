import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readAppend } from './payload.js';
import { headerBytes, readChecksum, readHeader, recordBytes, recordSize } from './record.js';
import { walFixture } from './wal-fixture.js';

/** The bytes of the example in the comment of `record.ts`: lines that start with eight pairs of hex digits. */
function exampleBytes(): Uint8Array {
  const source = readFileSync(new URL('./record.ts', import.meta.url), 'utf8');
  const lines = source.matchAll(/^ \* {3}((?:[0-9a-f]{2} {1,2}){8}) {2}/gm);
  const hex = Array.from(lines, (match) => match[1]!.replaceAll(' ', '')).join('');
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

describe('the worked example of the record format', () => {
  it('is what a log writes, byte for byte', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    const data = new TextEncoder().encode('hi');
    const hardState = { term: 2, vote: 10n, commit: 0 };
    await new Promise<void>((resolve) => {
      wal.append(
        { hardState, entries: [{ index: 1, term: 2, kind: 'normal', data }], mustSync: true },
        resolve,
      );
    });
    const path = '/data/wal/0000000000000001-0000000000000001.wal';
    const written = fixture.disk.model.find(path, 'read').read(144, 112);
    const example = exampleBytes();
    expect(example).toHaveLength(112);
    expect(Buffer.from(written).toString('hex')).toBe(Buffer.from(example).toString('hex'));
    expect(fixture.disk.model.find(path, 'read').read(256, 8)).toEqual(new Uint8Array(8));
    await wal.close();
  });

  it('reads back as the comment says', () => {
    const source = recordBytes(exampleBytes());
    const header = readHeader(source, 0)!;
    expect(header).toMatchObject({
      format: 1,
      type: 2,
      segment: 1,
      offset: 144,
      payloadLength: 58,
      lsn: 2,
      syncedLsn: 1,
    });
    expect(recordSize(header.payloadLength)).toBe(112);
    expect(readChecksum(source, 0, header)).toBe(0x466a095b);
    expect(readAppend(source, headerBytes, 58)).toEqual({
      hardState: { term: 2, vote: 10n, commit: 0 },
      entries: [{ index: 1, term: 2, kind: 'normal', data: new TextEncoder().encode('hi') }],
    });
  });
});

describe('reading a record', () => {
  it('trusts no header without its checksum, and no length beyond the bytes', () => {
    const example = exampleBytes();
    for (let length = 0; length < 112; length++) {
      const source = recordBytes(example.slice(0, length));
      const header = readHeader(source, 0);
      if (header !== undefined) expect(readChecksum(source, 0, header)).toBeUndefined();
      else expect(length).toBeLessThan(headerBytes);
    }
    for (let bit = 0; bit < 112 * 8; bit++) {
      const bytes = example.slice();
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
      const source = recordBytes(bytes);
      const header = readHeader(source, 0);
      expect(header && readChecksum(source, 0, header), `bit ${bit}`).toBeUndefined();
    }
  });
});
