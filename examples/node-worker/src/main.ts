// A worker without a framework. Start several: they pay invoices in turns, and one of them writes the report.
import { createClient, type LockHandle, op } from '@conclave/client';
import { setTimeout as pause } from 'node:timers/promises';

const client = createClient({
  endpoints: (process.env['CONCLAVE_ENDPOINTS'] ?? '127.0.0.1:2379').split(','),
});
const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort());

function say(text: string): void {
  process.stdout.write(`worker ${process.pid}: ${text}\n`);
}

// Configuration: always a value, and the newest one.
let batchSize = 2;
const decode = (value: Uint8Array): number => Number(new TextDecoder().decode(value));
const following = client.config
  .value$('config/batch-size', { codec: { decode }, default: batchSize })
  .subscribe((value) => {
    batchSize = value;
    say(`batch size ${value}`);
  });

/** One worker at a time. The store itself refuses the write of a worker that no longer holds the lock: FencedOffError. */
async function payBatch(held: LockHandle): Promise<void> {
  const before = await client.kv.get('invoices/paid');
  const paid = Number(before?.text ?? '0') + batchSize;
  await held.guardTxn((txn) => txn.do(op.put('invoices/paid', String(paid))));
  say(`paid up to ${paid} under token ${held.token}`);
}

async function payUntilEnd(): Promise<void> {
  while (!ending.signal.aborted) {
    await client.locks.mutex('invoices').run(payBatch, { signal: ending.signal });
    await pause(500, undefined, { signal: ending.signal });
  }
}

/** In the worker that leads. `stopping` aborts when it is time to come to an end, the leadership being held still. */
async function reportWhileLeading(): Promise<void> {
  await client.elections.election('report').runAsLeader(
    async (leadership) => {
      say(`leads, term ${leadership.term}`);
      while (!leadership.stopping.aborted) {
        leadership.assertHeld('1s');
        const paid = await client.kv.get('invoices/paid');
        say(`report: ${paid?.text ?? 0} invoices paid`);
        await pause(1_000, undefined, { signal: leadership.stopping }).catch(() => undefined);
      }
    },
    { signal: ending.signal },
  );
}

function isEnding(error: unknown): void {
  if (!ending.signal.aborted) throw error;
}

await Promise.all([payUntilEnd().catch(isEnding), reportWhileLeading().catch(isEnding)]);
following.unsubscribe();
await client.close();
say('ended: locks released, leadership resigned, leases revoked');
