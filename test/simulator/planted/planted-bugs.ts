import { believeFromReceipt, ownKeyNotReadAgain } from './client-transports.js';
import { ForgivingDisk, UnsyncedDisk } from './disk-wrappers.js';
import { busyQueue, slowWays } from '../workers/worker-profile.js';
import { type PlantedBug } from './planted-bug.js';
import { compactionForgotten, markAhead, markBehind, revisionOfSurvivors } from './store-restarts.js';
import { trustTornTail } from './torn-tail.js';

/** Mistakes that stores have really made; the simulator must find each of them within a few seeds. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'acknowledge-before-sync',
    story: 'a member of one voter answers before its own log is durable (etcd #14370)',
    disk: (disk) => new UnsyncedDisk(disk),
  },
  {
    name: 'sync-error-ignored',
    story: 'a failed fsync is tried again, and the second one "succeeds" (PostgreSQL, 2018)',
    disk: (disk) => new ForgivingDisk(disk),
  },
  {
    name: 'applied-index-ahead',
    story: 'the applied index is stored beside the transaction and survives without it (etcd #13766)',
    restart: (store) => markAhead(store),
  },
  {
    name: 'applied-index-behind',
    story:
      'the applied index is stored after the transaction, so that entries are applied twice (etcd #13766)',
    restart: (store) => markBehind(store),
  },
  {
    name: 'revision-of-surviving-keys',
    story: 'the current revision is recovered from the keys that are left (etcd #17780)',
    restart: (store) => revisionOfSurvivors(store.crash()),
  },
  {
    name: 'compaction-forgotten',
    story: 'how far history is compacted is lost in a crash, and reads below it are answered again',
    restart: (store) => compactionForgotten(store.crash()),
  },
  {
    name: 'torn-tail-kept',
    story: 'the reader of the log takes a record for whole because its header is',
    media: (files) => trustTornTail(files),
  },
  {
    name: 'watch-resumed-from-header',
    story:
      'a client resumes its watch after the revision of the last header rather than after the last event',
    resumeRevision: (_next, headerRevision) => headerRevision + 1,
  },
  {
    name: 'leases-by-wall-clock',
    story: 'leases run by the wall clock, and run out when it is set forward',
    clock: (clock) => ({
      now: () => clock.wall(),
      wall: () => clock.wall(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      defer: (callback) => clock.defer(callback),
    }),
  },
  {
    name: 'belief-from-receipt',
    story:
      'a holder believes in its lease for a whole TTL after it heard of a renewal, not after it asked for it',
    members: 3,
    profile: { workers: slowWays },
    quickFrom: 26,
    transports: (transports, clock) => believeFromReceipt(transports, clock),
  },
  {
    name: 'own-key-not-read-again',
    story:
      'a waiter takes the lock when its predecessor has gone, though its own key went before (etcd #11408)',
    members: 3,
    profile: { workers: busyQueue },
    transports: (transports) => ownKeyNotReadAgain(transports),
  },
];
