import { GrpcChannel } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';
import { type Effort } from './requests.js';
import { compare, type Comparison } from './rounds.js';
import { type Target, type TargetName } from './target.js';
import { WatchClient } from './watch-client.js';

const connections = 10;
const watchesPerStream = 100;
/** Puts that the writer keeps under way: it never waits for a single answer. */
const putsInFlight = 64;

/**
 * Events delivered per second to 10 connections with one stream of 100 watches each, all on one key, while a writer puts
 * values of 256 bytes at full speed. The clock stops when every watch has seen the last put.
 */
export async function compareWatch(
  targets: Readonly<Record<TargetName, Target>>,
  effort: Effort,
): Promise<Comparison> {
  const puts: Record<TargetName, number> = { conclave: 0, etcd: 0 };
  let round = 0;
  const comparison = await compare(
    { name: 'watch, 10 streams of 100 watches on one key', unit: 'events/s', floor: 1.5 },
    targets,
    effort.rounds,
    async (target) => {
      const result = await deliver(target, `benchmark/watch/${round++}`, effort.seconds);
      puts[target.name] += result.puts;
      return result.eventsPerSecond;
    },
    () => `puts ${puts.conclave} (ours), ${puts.etcd} (etcd); none lost or doubled`,
  );
  return comparison;
}

async function deliver(
  target: Target,
  keyText: string,
  seconds: number,
): Promise<{ eventsPerSecond: number; puts: number }> {
  const [host, port] = target.address.split(':');
  const key = Buffer.from(keyText);
  const writer = new GrpcChannel({ target: { host, port: Number(port) } });
  const message = etcdserverpb.PutRequest.encode(
    etcdserverpb.PutRequest.fromPartial({ key, value: Buffer.alloc(256, 0x62) }),
  ).finish();
  const put = async (): Promise<number> => {
    const { message: answer } = await writer.unary('/etcdserverpb.KV/Put', message);
    return Number(etcdserverpb.PutResponse.decode(answer).header!.revision);
  };
  const first = await put();
  const clients = Array.from({ length: connections }, () => new WatchClient(host, Number(port)));
  try {
    for (const client of clients) client.watch(key, watchesPerStream, first + 1);
    await until(clients, () => clients.every((client) => client.created === watchesPerStream));
    const started = performance.now();
    const last = await writeFor(put, seconds, first);
    // Revisions were checked one by one, so the count tells that every watch has seen every put.
    const expected = (last - first) * watchesPerStream;
    await until(clients, () => clients.every((client) => client.events === expected));
    const elapsed = (performance.now() - started) / 1000;
    const events = clients.reduce((sum, client) => sum + client.events, 0);
    return { eventsPerSecond: events / elapsed, puts: last - first };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await writer.close();
  }
}

/** Puts for the given time and returns the last revision. Every put is a revision of its own: nobody else writes. */
async function writeFor(put: () => Promise<number>, seconds: number, first: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let last = first;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      const revision = await put();
      last = Math.max(last, revision);
    }
  };
  await Promise.all(Array.from({ length: putsInFlight }, lane));
  return last;
}

/** Resolves when the condition holds, looked at after every message. @throws what a client found wrong */
async function until(clients: readonly WatchClient[], condition: () => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      const failed = clients.find((client) => client.failure !== undefined);
      if (failed !== undefined) reject(failed.failure!);
      else if (condition()) resolve();
    };
    for (const client of clients) client.onProgress = look;
    look();
  });
  for (const client of clients) client.onProgress = undefined;
}
