import { rm } from 'node:fs/promises';
import { describeBackendContract } from './backend.contract.js';
import { flushesToEnd, startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';

describeBackendContract(
  'LmdbBackend',
  async (rowsMax) => {
    const directory = await temporaryDirectory();
    const backend = await startLmdb(directory, { generationRowsMax: rowsMax });
    const opened = [backend];
    return {
      backend,
      settle: () => flushesToEnd(backend),
      reopen: async () => {
        await backend.close();
        opened.push(await startLmdb(directory));
        return opened[1];
      },
      dispose: async () => {
        for (const each of opened) await each.close();
        await rm(directory, { recursive: true });
      },
    };
  },
  12,
);
