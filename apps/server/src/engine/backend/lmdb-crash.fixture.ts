/**
 * The program that `lmdb-crash.spec.ts` kills: it applies numbered entries without end and prints what is flushed.
 * Entry i sets head "k<i % 97>" and meta "last" to i and appends log row i/0, whose predecessor it deletes when i is
 * even.
 */
import { startLmdb } from './lmdb-backend.fixture.js';

const PER_TURN = 40;
/** Enough that entries go on while a flush is in progress. */
const ROWS_MAX = 5_000;

async function main(directory: string): Promise<void> {
  const backend = await startLmdb(directory, { generationRowsMax: 500 });
  backend.onFlushed = (mark) => process.stdout.write(`${mark.index}\n`);
  backend.onFailure = (error) => {
    throw error;
  };
  let index = backend.applied.index;
  const applyTurn = (): void => {
    for (let at = 0; at < PER_TURN && backend.stats.generationRows < ROWS_MAX; at++) {
      index++;
      const value = Buffer.from(String(index));
      backend.put('head', `k${index % 97}`, value);
      backend.put('meta', 'last', value);
      backend.appendLog(index, 0, value);
      if (index % 2 === 0) backend.deleteLog(index - 1, 0);
      backend.setApplied({ index, term: 1 });
    }
    setImmediate(applyTurn);
  };
  applyTurn();
}

await main(process.argv[2]);
