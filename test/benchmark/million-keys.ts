import { KeyLoad, percentile } from './key-load.js';
import { median } from './rounds.js';
import { type Target, type TargetName } from './target.js';

export interface MillionKeyFigures {
  readonly keys: number;
  readonly residentMegabytes: number;
  readonly anonymousMegabytes: number;
  readonly residentAfterRestartMegabytes: number;
  readonly anonymousAfterRestartMegabytes: number;
  readonly readyAfterRestartMs: number;
  /** Random puts and gets per second, with few keys and with all of them. */
  readonly putsFew: number;
  readonly putsAll: number;
  readonly getsFew: number;
  readonly getsAll: number;
  /** 99th percentile of put latency in ms: the median second, and the worst second (which has a flush). */
  readonly putP99Ms: number;
  readonly putP99WorstSecondMs: number;
}

const fewKeys = 10_000;
const inFlight = 50;

/** Memory, restart and speed with many keys of 32 bytes and values of 256 bytes. */
export async function measureMillionKeys(
  targets: Readonly<Record<TargetName, Target>>,
  keys: number,
  seconds: number,
): Promise<Record<TargetName, MillionKeyFigures>> {
  return {
    conclave: await measure(targets.conclave, keys, seconds),
    etcd: await measure(targets.etcd, keys, seconds),
  };
}

async function measure(target: Target, keys: number, seconds: number): Promise<MillionKeyFigures> {
  const load = new KeyLoad(target, 4);
  const progress = (done: number): void => {
    if (done % 100_000 === 0) process.stderr.write(`  ${target.name}: ${done} keys\n`);
  };
  await load.fill(0, fewKeys, progress);
  const putsFew = (await load.run('put', fewKeys, seconds, inFlight)).perSecond;
  const getsFew = (await load.run('get', fewKeys, seconds, inFlight)).perSecond;
  await load.fill(fewKeys, keys, progress);
  const filled = target.memory();
  const p99s: number[] = [];
  const rates: number[] = [];
  for (let second = 0; second < Math.max(10, seconds * 2); second++) {
    const { latencies, perSecond } = await load.run('put', keys, 1, inFlight);
    p99s.push(percentile(latencies, 0.99));
    rates.push(perSecond);
  }
  const getsAll = (await load.run('get', keys, seconds, inFlight)).perSecond;
  await load.close();
  await target.stop();
  const readyAfterRestartMs = await target.start();
  const restarted = target.memory();
  return {
    keys,
    residentMegabytes: filled.resident / 1e6,
    anonymousMegabytes: filled.anonymous / 1e6,
    residentAfterRestartMegabytes: restarted.resident / 1e6,
    anonymousAfterRestartMegabytes: restarted.anonymous / 1e6,
    readyAfterRestartMs,
    putsFew,
    putsAll: median(rates),
    getsFew,
    getsAll,
    putP99Ms: median(p99s),
    putP99WorstSecondMs: Math.max(...p99s),
  };
}
