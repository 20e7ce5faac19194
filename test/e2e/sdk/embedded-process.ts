/**
 * A process that starts members and clients, uses and stops them, and says what is left. It ends by itself, or its parent finds out that
 * something of them keeps it.
 */
import { startEmbedded } from '@conclave/client/testing';

const [directory] = process.argv.slice(2);
// Standard output is opened by its first use, and stays.
process.stdout.write('');
const idle = process.getActiveResourcesInfo();
const before = performance.now();
const first = await startEmbedded();
const startedMs = performance.now() - before;
const members = [
  first,
  await startEmbedded({ port: 0 }),
  await startEmbedded({ directory: directory ?? '' }),
];
for (const member of members) {
  const client = member.client();
  await client.locks.mutex('a').run(async () => {
    await client.kv.put('k', 'v');
  });
  // Left open, and left to `stop`.
  client.watch.state('k').subscribe({ error: () => undefined });
  await client.ready();
}
await Promise.all(members.map((member) => member.stop()));
await new Promise((resolve) => setImmediate(resolve));
const left = process.getActiveResourcesInfo().filter((resource) => !idle.includes(resource));
process.stdout.write(`${JSON.stringify({ startedMs: Math.round(startedMs), left })}\n`);
