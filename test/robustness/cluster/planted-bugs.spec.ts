import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ClusterCampaign } from './cluster-campaign.js';
import { type Fault } from './fault.js';

/** All disks forget what they had synced after a certain moment. */
function forgettingDisks(folder: string): Fault {
  // The lock is a socket, which no copy can be made of.
  const isFile = (path: string): boolean => !path.endsWith('.sock');
  return {
    name: 'all disks forget',
    keepsMajority: false,
    strike: async ({ cluster, traffic }) => {
      const { members } = cluster;
      const killAll = (): Promise<unknown> => Promise.all(members.map((member) => cluster.kill(member)));
      await killAll();
      for (const { dataDirectory, name } of members)
        cpSync(dataDirectory, join(folder, name), { recursive: true, filter: isFile });
      await Promise.all(members.map((member) => cluster.start(member)));
      await traffic.progress(50, 'writes that will be forgotten');
      await killAll();
      for (const { dataDirectory, name } of members) {
        rmSync(dataDirectory, { recursive: true });
        cpSync(join(folder, name), dataDirectory, { recursive: true });
      }
    },
  };
}

/** The quick run is content with the bugs that are planted into the history of its campaign. */
describe.skipIf(process.env['CONCLAVE_FULL'] !== '1')('a planted bug', () => {
  it('disks that forget acknowledged writes are found out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conclave-copy-'));
    try {
      const faults = [forgettingDisks(folder)];
      const campaign = new ClusterCampaign({ kind: 'conclave', seed: 1, size: 3, faults, holdMsMax: 1 });
      const { violations } = await campaign.run();
      expect(violations.join('\n')).toMatch(/acknowledged at revision \d+, but|not in the log/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
