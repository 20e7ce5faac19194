import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Campaign, type CampaignOptions } from './traffic/campaign.js';
import { FigureTable } from './traffic/figures.js';

const full = process.env['CONCLAVE_FULL'] === '1';
/** Twelve rounds in the quick run; two hundred in the full one. */
const campaigns = full
  ? Array.from({ length: 10 }, (_, i) => ({ seed: i + 1, rounds: 20 }))
  : [
      { seed: 1, rounds: 6 },
      { seed: 2, rounds: 6 },
    ];

/** Mostly short rounds; one in six lasts long enough for the store to be flushed and the log to be cut. */
const optionsOf = (seed: number, rounds: number): CampaignOptions => ({
  seed,
  rounds,
  writers: 5,
  compacts: seed % 2 === 0,
  roundMs: (chance, round) => (round % 6 === 3 ? 2_200 + chance.below(600) : 60 + chance.below(500)),
});

describe('kill -9 at any moment', () => {
  const figures = new FigureTable();
  afterAll(() => {
    if (full) process.stdout.write(`${figures.text}\n`);
  });

  it.each(campaigns)(
    'loses, repeats and reorders nothing (seed $seed, $rounds rounds)',
    async ({ seed, rounds }) => {
      const report = await new Campaign(optionsOf(seed, rounds)).run();
      figures.add(seed % 2 === 0 ? 'kill -9, with compactions' : 'kill -9', report, rounds);
      expect(report.violations).toEqual([]);
      // Traffic that did not happen proves nothing.
      expect(report.acknowledged).toBeGreaterThan(rounds * 50);
      expect(report.unknown).toBeGreaterThan(0);
      expect(report.compactions > 0).toBe(seed % 2 === 0);
    },
    full ? 600_000 : 60_000,
  );
});

/** After the first death it keeps a copy of the data, and after the second it puts it back, as a disk that lies about its syncs. */
function forgetSecondLife(copy: string): (dataDirectory: string) => void {
  let deaths = 0;
  // The lock is a socket, which no copy can be made of.
  const isFile = (path: string): boolean => !path.endsWith('.sock');
  return (dataDirectory) => {
    if (++deaths === 1) cpSync(dataDirectory, copy, { recursive: true, filter: isFile });
    if (deaths !== 2) return;
    rmSync(dataDirectory, { recursive: true });
    cpSync(copy, dataDirectory, { recursive: true });
  };
}

describe('a planted bug', () => {
  it('a disk that forgets what it had synced is found out', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'conclave-copy-'));
    try {
      const afterDeath = forgetSecondLife(copy);
      const options = { seed: 4, rounds: 2, writers: 5, compacts: false, afterDeath };
      const { violations } = await new Campaign({ ...options, roundMs: () => 300 }).run();
      expect(violations.join('\n')).toMatch(/acknowledged at revision \d+, but|not in the log/);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});
