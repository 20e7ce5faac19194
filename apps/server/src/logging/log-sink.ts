import { once } from 'node:events';
import { type Counter } from '../engine/platform/meter.js';
import { pino } from 'pino';

/** Where finished log lines go. */
export interface LogSink {
  /** Takes one line with its line end; never blocks and never throws. */
  write(line: string): void;
  /** Resolves when everything was handed to the system, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

/** Bytes that may wait for a slow reader of the log before lines are dropped. */
const bufferedBytesMax = 4 * 1024 * 1024;

/**
 * Opens `stdout`, `stderr` (or `default`) or a file for appending. Writes are asynchronous: when the reader of a pipe
 * stops, lines wait in memory up to a bound and are dropped and counted beyond it; the server goes on.
 *
 * @throws the system's error when a file cannot be opened.
 */
export async function openLogSink(output: string, dropped: Counter): Promise<LogSink> {
  const dest = output === 'stdout' ? 1 : output === 'default' || output === 'stderr' ? 2 : output;
  const destination = pino.destination({
    dest,
    sync: false,
    append: true,
    mkdir: true,
    maxLength: bufferedBytesMax,
  });
  await once(destination, 'ready');
  let isPending = false;
  destination.on('drain', () => {
    isPending = false;
  });
  // A log that cannot be written must not stop the member; the lines are lost and counted.
  destination.on('error', () => dropped.add(1));
  destination.on('drop', () => dropped.add(1));
  return {
    write(line) {
      isPending = true;
      destination.write(line);
    },
    async flush(timeoutMs) {
      if (isPending)
        await once(destination, 'drain', { signal: AbortSignal.timeout(timeoutMs) }).catch(() => undefined);
    },
  };
}

/** Writes every line to several sinks. */
export function joinLogSinks(sinks: readonly LogSink[]): LogSink {
  return {
    write: (line) => sinks.forEach((sink) => sink.write(line)),
    flush: async (timeoutMs) => void (await Promise.all(sinks.map((sink) => sink.flush(timeoutMs)))),
  };
}
