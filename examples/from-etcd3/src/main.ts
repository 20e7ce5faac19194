// The same things done with npm's etcd3 and with this SDK, on one store. Each pair ends in the same result, or says why not.
import { compare, createClient, op } from '@conclave/client';
import { Etcd3 } from 'etcd3';
import { firstValueFrom } from 'rxjs';

const endpoint = (process.env['CONCLAVE_ENDPOINTS'] ?? '127.0.0.1:2379').split(',')[0] ?? '';
const url = endpoint.startsWith('http') ? endpoint : `http://${endpoint}`;
const before = new Etcd3({ hosts: url });
const now = createClient({ endpoints: [url] });

function same(what: string, theirs: unknown, ours: unknown): void {
  const texts = [theirs, ours].map((value) => JSON.stringify(value, (_, part: unknown) => plain(part)));
  if (texts[0] !== texts[1]) throw new Error(`${what}: ${texts[0]} with etcd3, ${texts[1]} with this SDK`);
  process.stdout.write(`${what}: ${texts[0]}\n`);
}

const plain = (value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

async function keys(): Promise<void> {
  await before.put('from/a').value('1');
  await now.kv.put('from/b', '2');
  same('a value', await before.get('from/a').string(), (await now.kv.get('from/a'))?.text);
  const theirs = await before.getAll().prefix('from/').strings();
  const { entries } = await now.kv.range('from/', { prefix: true });
  same('a prefix', theirs, Object.fromEntries(entries.map(({ key, text }) => [key, text])));
  const removed = await before.delete().key('from/a');
  const { deleted } = await now.kv.delete('from/b');
  same('a deletion', removed.deleted, deleted);
}

async function transactions(): Promise<void> {
  const theirs = await before
    .if('from/t', 'Create', '==', 0)
    .then(before.put('from/t').value('made'))
    .else(before.get('from/t'))
    .commit();
  const ours = await now.kv
    .txn()
    .if(compare.missing('from/u'))
    .do(op.put('from/u', 'made'))
    .else(op.get('from/u'))
    .commit();
  same('a transaction', theirs.succeeded, ours.succeeded);
}

async function leases(): Promise<void> {
  const theirs = before.lease(10);
  await theirs.put('from/l').value('alive');
  const ours = await now.leases.grant({ ttl: '10s' });
  await now.kv.put('from/m', 'alive', { lease: ours.id });
  const { entries } = await now.kv.range('from/', { prefix: true });
  const leased = (key: string): boolean => entries.some((entry) => entry.key === key && entry.lease > 0n);
  same('a leased key', leased('from/l'), leased('from/m'));
  await theirs.revoke();
  await ours.revoke();
}

async function watching(): Promise<void> {
  const theirs = await before.watch().key('from/w').create();
  const event = new Promise<string>((resolve) =>
    theirs.once('put', ({ value }) => resolve(value.toString())),
  );
  // From the revision on that was read, so that nothing between reading and watching is missed.
  const { revision } = await now.kv.range('from/w');
  const batch = firstValueFrom(now.watch.events('from/w', { fromRevision: revision + 1n }));
  await now.kv.put('from/w', 'changed');
  const [change] = (await batch).changes;
  same('a change', await event, change?.type === 'put' ? new TextDecoder().decode(change.value) : undefined);
  await theirs.cancel();
}

async function locks(): Promise<void> {
  const theirs = await before
    .lock('from-lock')
    .ttl(10)
    .do(() => Promise.resolve('done'));
  const ours = await now.locks.mutex('from-lock').run(() => Promise.resolve('done'));
  same('a lock', theirs, ours);
}

async function elections(): Promise<void> {
  const theirs = before.election('from-election', 10);
  const campaign = theirs.campaign('one');
  await new Promise((elected) => campaign.once('elected', () => elected(undefined)));
  const leader = await theirs.leader();
  await campaign.resign();
  const leadership = await now.elections.election('from-election').campaign({ value: 'one' });
  const seen = await now.elections.election('from-election').leader();
  await leadership.resign();
  same('a leader', leader, seen?.text);
}

for (const part of [keys, transactions, leases, watching, locks, elections]) await part();
await now.kv.delete('from/', { prefix: true });
await now.close();
before.close();
process.stdout.write('the same results with both\n');
