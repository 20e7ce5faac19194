import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Load {
  readonly url: string;
  /** gRPC path, `/etcdserverpb.KV/Put`. */
  readonly path: string;
  /** The encoded request message. */
  readonly message: Uint8Array;
  readonly connections: number;
  readonly streamsPerConnection: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** So many requests in all, instead of a time. */
  readonly requests?: number;
  /** Requests a second of each connection; by default as many as are answered. */
  readonly perConnection?: number;
  /** A file for a line per request. */
  readonly logFile?: string;
  /** Aborting ends it early; it then rejects. */
  readonly signal?: AbortSignal;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly failed: number;
  /** Requests that were answered within the measured time. */
  readonly requests: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

/** One run of h2load, the same client for every server. */
export async function h2load(load: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-h2load-'));
  const body = join(folder, 'body');
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(load.message.length, 1);
  writeFileSync(body, Buffer.concat([prefix, load.message]));
  try {
    return parse(await run('h2load', flagsOf(load, body), load.signal));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function flagsOf(load: Load, body: string): string[] {
  const { requests, perConnection, logFile } = load;
  const duration = [`--warm-up-time=${load.warmUpSeconds}`, `-D${load.seconds}`];
  return [
    `-c${load.connections}`,
    `-m${load.streamsPerConnection}`,
    ...(requests === undefined ? duration : [`-n${requests}`]),
    ...(perConnection === undefined ? [] : [`--rps=${perConnection}`]),
    ...(logFile === undefined ? [] : [`--log-file=${logFile}`]),
    '-d',
    body,
    '-H',
    'content-type: application/grpc',
    '-H',
    'te: trailers',
    load.url + load.path,
  ];
}

function run(command: string, args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], signal });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${code}:\n${text}`)),
    );
  });
}

function parse(text: string): LoadResult {
  const rate = /finished in [^,]+, ([\d.]+) req\/s/.exec(text);
  const requests =
    /requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(text);
  const times = /time for request:\s+\S+\s+(\S+)\s+(\S+)/.exec(text);
  if (rate === null || requests === null || times === null)
    throw new Error(`h2load printed something unexpected:\n${text}`);
  return {
    requestsPerSecond: Number(rate[1]),
    requests: Number(requests[2]),
    failed: Number(requests[3]) + Number(requests[4]) + Number(requests[5]),
    maxMs: milliseconds(times[1]),
    meanMs: milliseconds(times[2]),
  };
}

function milliseconds(text: string): number {
  const match = /^([\d.]+)(us|ms|s)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  const unit = { us: 0.001, ms: 1, s: 1000 }[match[2] as 'us' | 'ms' | 's'];
  return Number(match[1]) * unit;
}
