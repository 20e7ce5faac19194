import { type Figures } from './task.js';
import { type KvLibrary } from './kv-library.js';

const value = 'v'.repeat(256);
const keyCount = 1_000;

/** Requests per second with so many always under way, after a second of the same for warming up. */
export async function requestLoad(
  library: KvLibrary,
  kind: 'put' | 'get',
  inFlight: number,
  seconds: number,
): Promise<Figures> {
  let next = 0;
  const key = (): string => `benchmark/sdk/${next++ % keyCount}`;
  const once = kind === 'put' ? () => library.put(key(), value) : () => library.get(key());
  if (kind === 'get') await filled(library);
  await perSecond(once, inFlight, 1);
  return { perSecond: await perSecond(once, inFlight, seconds) };
}

/** Cycles of acquire and release per second, on as many locks as there are cycles under way. */
export async function lockLoad(library: KvLibrary, inFlight: number, seconds: number): Promise<Figures> {
  const once = (lane: number): Promise<unknown> => library.lockCycle(`benchmark-${lane}`);
  await perSecond(once, inFlight, 1);
  return { perSecond: await perSecond(once, inFlight, seconds) };
}

async function filled(library: KvLibrary): Promise<void> {
  for (let index = 0; index < keyCount; index++) await library.put(`benchmark/sdk/${index}`, value);
}

async function perSecond(
  once: (lane: number) => Promise<unknown>,
  inFlight: number,
  seconds: number,
): Promise<number> {
  const started = performance.now();
  const end = started + seconds * 1000;
  let done = 0;
  const run = async (lane: number): Promise<void> => {
    while (performance.now() < end) {
      await once(lane);
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => run(lane)));
  return (done / (performance.now() - started)) * 1000;
}
