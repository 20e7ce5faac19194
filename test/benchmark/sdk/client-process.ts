import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type LibraryName, openLibrary } from './kv-library.js';
import { lockLoad, requestLoad } from './loads.js';
import { fanOut, idle, stateOfMany } from './subscriptions.js';
import { type Figures, type Task } from './task.js';

interface Order {
  readonly library: LibraryName;
  readonly address: string;
  readonly task: Task;
}

/** Measures in a client process of its own, so that no library runs on a heap that another one has filled. */
export async function inClientProcess(order: Order): Promise<Figures> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += String(chunk)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`the client process ended with ${code}: ${JSON.stringify(order)}`);
  return JSON.parse(printed) as Figures;
}

async function carriedOut({ library, address, task }: Order): Promise<Figures> {
  if (task.kind === 'state') return stateOfMany(address, task.prefix, task.keys);
  if (task.kind === 'fan-out') return fanOut(address, task.subscribers, task.seconds);
  if (task.kind === 'idle') return idle(address, task.seconds);
  const opened = openLibrary(library, address);
  try {
    if (task.kind === 'lock') return await lockLoad(opened, task.inFlight, task.seconds);
    return await requestLoad(opened, task.kind, task.inFlight, task.seconds);
  } finally {
    await opened.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const figures = await carriedOut(JSON.parse(process.argv[2]) as Order);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  // Neither library keeps the process when all is closed, but a pending timer of one would blur the next measurement.
  process.exit(0);
}
