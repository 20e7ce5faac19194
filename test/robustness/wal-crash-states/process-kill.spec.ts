import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeClock } from '../../../apps/server/src/engine/platform/node-clock.js';
import { NodeDisk } from '../../../apps/server/src/engine/platform/node-disk.js';
import { headerBytes, readHeader, recordBytes } from '../../../apps/server/src/engine/wal/record.js';
import { fixtureEntry, silentLogger, silentMeter } from '../../../apps/server/src/engine/wal/wal-fixture.js';
import { Wal } from '../../../apps/server/src/engine/wal/wal.js';

const full = process.env['CONCLAVE_FULL'] === '1';
const built = fileURLToPath(new URL('../../../apps/server/dist/engine/', import.meta.url));
const metadata = { clusterId: 1n, memberId: 2n };

/**
 * A process that appends without end, three updates at a time, and notes each index in a file once it is durable. The log
 * lets go of all but some dozens of entries, so that segments are written into the files of earlier ones.
 */
const appender = (directory: string, notes: string): string => `
  import { openSync, writeSync } from 'node:fs';
  import { NodeClock } from '${built}platform/node-clock.js';
  import { NodeDisk } from '${built}platform/node-disk.js';
  import { Wal } from '${built}wal/wal.js';
  import { fixtureEntry, silentLogger, silentMeter } from '${built}wal/wal-fixture.js';
  const notes = openSync(${JSON.stringify(notes)}, 'w');
  const wal = await Wal.open({
    directory: ${JSON.stringify(directory)}, disk: new NodeDisk(), clock: new NodeClock(), logger: silentLogger,
    meter: silentMeter, metadata: { clusterId: 1n, memberId: 2n }, create: true, segmentBytes: 16384, bufferBytes: 8192,
  });
  let last = wal.recovered?.entries.at(-1)?.index ?? wal.recovered?.mark.index ?? 0;
  const confState = { voters: [2n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
  let marked = wal.recovered?.mark.index ?? 0;
  const cut = (index) => {
    if (index - marked < 60) return;
    marked = index - 40;
    const mark = { index: marked, term: 1, confState };
    wal.saveMark(mark, () => wal.cut(mark.index));
  };
  const next = () => {
    const index = ++last;
    const hardState = { term: 1, vote: 2n, commit: index - 1 };
    const entries = [fixtureEntry(index, 1, 50 + (index * 37) % 900)];
    wal.append({ hardState, entries, mustSync: true }, () => {
      writeSync(notes, index + '\\n');
      process.stdout.write('.');
      cut(index);
      next();
    });
  };
  for (let i = 0; i < 3; i++) next();
`;

/** Starts the process, kills it after about `count` acknowledgements, and returns the last acknowledged index. */
async function runAndKill(directory: string, count: number): Promise<number> {
  const notes = `${directory}-notes`;
  const args = ['--input-type=module', '-e', appender(directory, notes)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let seen = 0;
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen >= count) child.kill('SIGKILL');
  });
  const signal = await new Promise((end) => child.once('close', (_code, by) => end(by)));
  expect(signal, errors).toBe('SIGKILL');
  return Number(readFileSync(notes, 'utf8').trimEnd().split('\n').at(-1));
}

/** Records in the last file that say that they belong to another segment: the file was written again. */
function recordsOfEarlierSegments(directory: string): number {
  const file = readdirSync(directory)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .at(-1)!;
  const source = recordBytes(readFileSync(join(directory, file)));
  const number = readHeader(source, 0)!.segment;
  let count = 0;
  for (let at = 0; at + headerBytes <= source.bytes.length; at += 8) {
    const header = readHeader(source, at);
    if (header !== undefined && header.segment !== number) count++;
  }
  return count;
}

describe('a process that is killed while it appends', () => {
  let root: string;

  beforeEach(() => {
    expect(existsSync(`${built}wal/wal.js`), 'build first: npx tsc -b').toBe(true);
    root = mkdtempSync(join(tmpdir(), 'wal-kill-'));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  it('loses nothing that was acknowledged', async () => {
    const directory = join(root, 'wal');
    let staleRecords = 0;
    for (let round = 0; round < (full ? 30 : 4); round++) {
      const acknowledged = await runAndKill(directory, 40 + round * 55);
      staleRecords += recordsOfEarlierSegments(directory);
      const disk = new NodeDisk();
      const wal = await Wal.open({
        directory,
        disk,
        clock: new NodeClock(),
        logger: silentLogger,
        meter: silentMeter,
        metadata,
        create: false,
        segmentBytes: 16384,
      });
      const { entries, hardState, mark } = wal.recovered!;
      expect(mark.index + entries.length).toBeGreaterThanOrEqual(acknowledged);
      expect(mark.index + entries.length).toBeLessThanOrEqual(acknowledged + 6);
      expect(hardState.commit).toBeGreaterThanOrEqual(acknowledged - 1);
      entries.forEach((entry, i) => {
        const index = mark.index + i + 1;
        expect(entry.index).toBe(index);
        const expected = fixtureEntry(index, 1, 50 + ((index * 37) % 900));
        expect(Buffer.compare(entry.data, expected.data)).toBe(0);
      });
      await wal.close();
      await disk.close();
    }
    expect(staleRecords).toBeGreaterThan(0);
  });
});
