import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NodeDisk } from '../platform/node-disk.js';
import { type BackendHarness } from './backend-harness.fixture.js';
import { describeBackendContract } from './backend.contract.js';
import { flushesToEnd, startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';
import { describeStateContract } from './state.contract.js';

/** A member `name` below `root`, where all members of a spec have their directories. */
async function member(root: string, name: string, rowsMax: number, disk: NodeDisk): Promise<BackendHarness> {
  const directory = join(root, name);
  const spool = join(root, 'spool');
  await mkdir(spool, { recursive: true });
  const opened = [await startLmdb(directory, { generationRowsMax: rowsMax, disk })];
  const others: BackendHarness[] = [];
  return {
    backend: opened[0],
    settle: () => flushesToEnd(opened[0]),
    reopen: async () => {
      await opened.at(-1)?.close();
      opened.push(await startLmdb(directory, { disk }));
      return opened[opened.length - 1];
    },
    another: async () => {
      others.push(await member(root, `${name}${others.length}`, rowsMax, disk));
      return others[others.length - 1];
    },
    spool,
    disk,
    dispose: async () => {
      for (const each of opened) await each.close();
      for (const each of others) await each.dispose();
    },
  };
}

async function make(rowsMax: number): Promise<BackendHarness> {
  const root = await temporaryDirectory();
  const disk = new NodeDisk();
  const first = await member(root, 'member', rowsMax, disk);
  return {
    ...first,
    dispose: async () => {
      await first.dispose();
      await disk.close();
      await rm(root, { recursive: true });
    },
  };
}

// Each history starts threads and syncs files; full runs try more of them, and `npm run check` fewer.
const share = process.env['CONCLAVE_FULL'] === '1' ? 4 : process.env['CONCLAVE_CHECK'] === '1' ? 1 : 2;
describeBackendContract('LmdbBackend', make, 4 * share);
describeStateContract('LmdbBackend', make, 2 * share);
