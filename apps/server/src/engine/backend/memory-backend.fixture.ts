import { silentLogger, walFixture } from '../wal/wal-fixture.js';
import { MemoryBackend } from './memory-backend.js';

/** Where all backends of a spec have their states. */
const { disk } = walFixture();
let directories = 0;

/** A backend for specs that can take the state of another one. Flushes are done at once. */
export function memoryBackend(): MemoryBackend {
  return new MemoryBackend({
    onFlush: (flush) => flush.complete(),
    states: { disk, directory: `/db${directories++}`, logger: silentLogger },
  });
}

/** Brings the state of one of these backends into another, as between members. */
export async function installState(
  from: MemoryBackend,
  to: MemoryBackend,
  onInstalled: () => void,
): Promise<void> {
  await from.flush();
  await disk.makeDirectory('/spool');
  const { mark } = await from.copyTo('/spool/state');
  await to.install('/spool/state', mark, onInstalled);
}
