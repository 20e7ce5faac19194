import { createClient } from '@conclave/client';
import { Etcd3 } from 'etcd3';

/** What an application does with a store, through one client library. */
export interface KvLibrary {
  put(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  /** Takes a lock that nobody else wants, and gives it back. */
  lockCycle(name: string): Promise<unknown>;
  close(): Promise<unknown>;
}

export type LibraryName = 'conclave' | 'etcd3';

export function openLibrary(name: LibraryName, address: string): KvLibrary {
  return name === 'conclave' ? openConclave(address) : openEtcd3(address);
}

function openConclave(address: string): KvLibrary {
  const client = createClient({ endpoints: [address] });
  return {
    put: (key, value) => client.kv.put(key, value),
    get: async (key) => (await client.kv.get(key))?.value.toString(),
    lockCycle: async (name) => {
      const handle = await client.locks.mutex(name).acquire();
      await handle.release();
    },
    close: () => client.close(),
  };
}

/** As its documentation shows it: a lock with a TTL, taken and released. */
function openEtcd3(address: string): KvLibrary {
  const client = new Etcd3({ hosts: `http://${address}` });
  return {
    put: (key, value) => client.put(key).value(value).exec(),
    get: (key) => client.get(key).string(),
    lockCycle: async (name) => {
      const lock = client.lock(name).ttl(15);
      await lock.acquire();
      await lock.release();
    },
    close: () => Promise.resolve(client.close()),
  };
}
