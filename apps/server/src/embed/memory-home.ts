import { MemoryBackend } from '../engine/backend/memory-backend.js';
import { NodeClock } from '../engine/platform/node-clock.js';
import { NodeRandom } from '../engine/platform/node-random.js';
import { SimulatedDisk } from '../engine/platform/simulated-disk.js';
import { deriveFoundingIdentity } from '../options/identity.js';
import { type MemberHome, type OpenHome } from '../start/member-home.js';

const mebibyte = 1024 * 1024;

/**
 * A place that is gone with the process: the log on a disk in memory, the store in the memory twin of LMDB. The engine runs
 * on it as on any other; only nothing has to be waited for.
 */
export const openMemoryHome: OpenHome = (options, { logger, registry }): Promise<MemberHome> => {
  const clock = new NodeClock();
  const random = new NodeRandom();
  const disk = new SimulatedDisk({
    schedule: (_effect, callback) => clock.defer(callback),
    random,
    now: () => clock.now(),
  });
  const { initialMembers, name, initialClusterToken: clusterToken } = options;
  const { clusterId, memberId, members } = deriveFoundingIdentity(initialMembers, name, clusterToken);
  return Promise.resolve({
    platform: {
      clock,
      disk,
      random,
      logger,
      meter: registry,
      openBackend: (directory) =>
        Promise.resolve(
          new MemoryBackend({ clock, poisonsReads: false, states: { disk, directory, logger } }),
        ),
      lockDirectory: () => Promise.resolve({ release: () => Promise.resolve() }),
      close: () => disk.close(),
    },
    membership: {
      identity: { clusterId, memberId, clusterToken },
      foundingMembers: members,
      others: new Map(),
    },
    // Segments are filled ahead, so each byte of them is memory.
    storage: { walSegmentBytes: mebibyte, walBatchBytes: mebibyte },
  });
};
