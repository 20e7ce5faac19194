/**
 * The program of `lmdb-space.spec.ts`, run with a limited file size: it applies 40 entries, prints "no space" when a
 * flush is put off, and "durable <index>" once everything is flushed.
 */
import { NodeClock } from '../platform/node-clock.js';
import { startLmdb } from './lmdb-backend.fixture.js';

async function main(directory: string): Promise<void> {
  const backend = await startLmdb(directory, { clock: new NodeClock(), generationBytesMax: 1024 * 1024 });
  backend.onFailure = (error) => {
    throw error;
  };
  let timesTold = 0;
  backend.onNoSpace = () => timesTold++;
  for (let index = 1; index <= 40; index++) {
    backend.put('head', `key ${index}`, Buffer.alloc(200_000, index));
    backend.setApplied({ index, term: 1 });
  }
  const durable = backend.flush();
  const look = setInterval(() => {
    // Twice: the first attempt and one more in vain.
    if (backend.stats.noSpace === undefined || timesTold < 2) return;
    clearInterval(look);
    const isWhole = backend.count('head', '', undefined) === 40;
    process.stdout.write(`no space, ${isWhole ? 'nothing lost' : 'rows lost'}\n`);
  }, 1);
  await durable;
  process.stdout.write(`durable ${backend.flushed.index}\n`);
  await backend.close();
}

await main(process.argv[2]);
