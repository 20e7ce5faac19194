import { type ConclaveClient, createClient, type StateView } from '@conclave/client';
import { filter, firstValueFrom, type Subscription } from 'rxjs';
import { type Figures } from './task.js';

/**
 * Everything under a prefix as one `state`: milliseconds from making the client, and from being connected, to the first value, and
 * microseconds of CPU per change when one key after another changes.
 */
export async function stateOfMany(address: string, prefix: string, keys: number): Promise<Figures> {
  const started = performance.now();
  const client = createClient({ endpoints: [address] });
  let connectedAt = Number.NaN;
  const connections = client.connection$.subscribe(({ kind }) => {
    if (kind === 'connected' && Number.isNaN(connectedAt)) connectedAt = performance.now();
  });
  const view$ = client.watch.state(prefix);
  const whole = (view: StateView<Uint8Array>): boolean => view.entries.size >= keys;
  const subscriptions: Subscription[] = [connections, view$.subscribe()];
  await firstValueFrom(view$.pipe(filter(whole)));
  const firstMs = performance.now() - started;
  const sinceConnectedMs = performance.now() - connectedAt;
  const changes = 500;
  const before = process.cpuUsage();
  for (let index = 0; index < changes; index++) {
    const { revision } = await client.kv.put(`${prefix}${index}`, `changed-${index}`);
    await firstValueFrom(view$.pipe(filter((view) => view.revision >= revision)));
  }
  const spent = process.cpuUsage(before);
  for (const subscription of subscriptions) subscription.unsubscribe();
  await client.close();
  return { firstMs, sinceConnectedMs, microsecondsPerChange: (spent.user + spent.system) / changes };
}

/** From a put to the callbacks of many subscribers in this process, then how many events a second arrive at full speed. */
export async function fanOut(address: string, subscribers: number, seconds: number): Promise<Figures> {
  const client = createClient({ endpoints: [address] });
  const key = 'benchmark/fan-out';
  const delays: number[] = [];
  let events = 0;
  let sentAt = 0;
  let left = 0;
  let all: () => void = () => undefined;
  const arrived = (): void => {
    events++;
    delays.push(performance.now() - sentAt);
    if (--left === 0) all();
  };
  const watches = await subscribed(client, key, subscribers, arrived);
  const put = async (): Promise<void> => {
    left = subscribers;
    const whole = new Promise<void>((resolve) => (all = resolve));
    sentAt = performance.now();
    await client.kv.put(key, 'x'.repeat(256));
    await whole;
  };
  for (let index = 0; index < 20; index++) await put();
  delays.length = 0;
  events = 0;
  const started = performance.now();
  while (performance.now() - started < seconds * 1000) await put();
  const elapsed = (performance.now() - started) / 1000;
  for (const watch of watches) watch.unsubscribe();
  await client.close();
  delays.sort((a, b) => a - b);
  const p99Ms = delays[Math.floor(delays.length * 0.99)];
  return { p99Ms, medianMs: delays[delays.length >> 1], eventsPerSecond: events / elapsed };
}

/** Subscriptions that are known to be live: each has seen a marker that was put after all of them were made. */
async function subscribed(
  client: ConclaveClient,
  key: string,
  count: number,
  arrived: () => void,
): Promise<Subscription[]> {
  const { revision } = await client.kv.put(key, 'before');
  let missing = count;
  let ready: () => void = () => undefined;
  const live = new Promise<void>((resolve) => (ready = resolve));
  const watches = Array.from({ length: count }, () => {
    let isLive = false;
    return client.watch.events(key, { fromRevision: revision }).subscribe(() => {
      if (isLive) return arrived();
      isLive = true;
      if (--missing === 0) ready();
    });
  });
  await live;
  return watches;
}

/** Share of one core, in percent, that a client with ten watches and a lease needs to do nothing. */
export async function idle(address: string, seconds: number): Promise<Figures> {
  const client = createClient({ endpoints: [address] });
  const watches = Array.from({ length: 10 }, (_, index) =>
    client.watch.events(`benchmark/idle/${index}`).subscribe(),
  );
  const lease = await client.leases.grant({ ttl: '15s' });
  // What was compiled and allocated at the start is collected before the measurement.
  await pause(10);
  const before = process.cpuUsage();
  await pause(seconds);
  const spent = process.cpuUsage(before);
  for (const watch of watches) watch.unsubscribe();
  await lease.revoke();
  await client.close();
  return { percentOfCore: (spent.user + spent.system) / seconds / 10_000 };
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
