import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Campaign, type CampaignOptions } from './traffic/campaign.js';

const full = process.env['CONCLAVE_FULL'] === '1';
/** Twelve rounds in the quick run; two hundred in the full one. */
const campaigns = full
  ? Array.from({ length: 10 }, (_, i) => ({ seed: i + 1, rounds: 20 }))
  : [
      { seed: 1, rounds: 6 },
      { seed: 2, rounds: 6 },
    ];

/** Mostly short rounds; one in six lasts long enough for the store to be flushed and the log to be cut. */
const options = (seed: number, rounds: number): CampaignOptions => ({
  seed,
  rounds,
  writers: 5,
  compacts: seed % 2 === 0,
  roundMs: (chance, round) => (round % 6 === 3 ? 2_200 + chance.below(600) : 60 + chance.below(500)),
});

describe('kill -9 at any moment', () => {
  it.each(campaigns)(
    'loses, repeats and reorders nothing (seed $seed, $rounds rounds)',
    async ({ seed, rounds }) => {
      const report = await new Campaign(options(seed, rounds)).run();
      expect(report.violations).toEqual([]);
      // Traffic that did not happen proves nothing.
      expect(report.acknowledged).toBeGreaterThan(rounds * 50);
      expect(report.unknown).toBeGreaterThan(0);
      expect(report.compactions > 0).toBe(seed % 2 === 0);
    },
    full ? 600_000 : 60_000,
  );
});

/** Takes back the last part of the log as a disk would that lies about its syncs. */
function forgetTail(dataDirectory: string): void {
  const folder = join(dataDirectory, 'member', 'wal');
  const segments = readdirSync(folder).filter((name) => name.endsWith('.wal'));
  const path = join(folder, segments.sort().at(-1)!);
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const start = Math.max(end >> 1, end - 4_096);
  const file = openSync(path, 'r+');
  writeSync(file, new Uint8Array(end - start), 0, end - start, start);
  closeSync(file);
}

describe('a planted bug', () => {
  it('a disk that forgets what it had synced is found out', async () => {
    const campaign = new Campaign({
      seed: 3,
      rounds: 1,
      writers: 5,
      compacts: false,
      roundMs: () => 700,
      afterDeath: forgetTail,
    });
    const { violations } = await campaign.run();
    expect(violations.some((violation) => violation.includes('was acknowledged at revision'))).toBe(true);
  });
});
