import { everything } from './member-client.js';
import { type Recorder } from './recorder.js';
import { Watcher } from './watcher.js';
import { leasedKeys } from './writer.js';

/** One watcher of each kind over the keys that the writers have in common. */
export function createWatchers(recorder: Recorder): Watcher[] {
  const onRevision = (revision: number): void => recorder.arrived(revision);
  const plain = { key: Buffer.from('plain/'), range_end: Buffer.from('plain0') };
  const isPlain = (key: string): boolean => key.startsWith('plain/');
  const single = { key: Buffer.from(leasedKeys[0]), range_end: Buffer.alloc(0) };
  return [
    new Watcher({ name: 'everything', ...everything, matches: () => true, onRevision }),
    new Watcher({ name: 'prefix', ...plain, matches: isPlain }),
    new Watcher({ name: 'progress', ...plain, matches: isPlain, trustsProgress: true }),
    new Watcher({ name: 'one key', ...single, matches: (key) => key === leasedKeys[0] }),
  ];
}
