import { stat } from 'node:fs/promises';
import { createClient, grpcTransportOver } from '@conclave/client';
import { checkedName, ConfigModelError } from '@conclave/config-model';
import { nodeRuntime } from '@conclave/grpc';
import { type EmbeddedMember, ListenError, startEmbedded } from '../embed.js';
import { FolderService } from './folder-service.js';
import { FolderWatch } from './folder-watch.js';

export interface DevOptions {
  readonly folder: string;
  /** Texts of the command line. */
  readonly port: string;
  readonly env: string;
  readonly dataDir?: string;
}

/** Exit codes of the process. */
const exitFailed = 1;
const exitUsage = 2;
const exitForced = 130;

/**
 * Runs a member for development until a signal ends it, with the configuration that stands in a folder: `conclave dev`. Every save is a
 * release.
 */
export async function runDev(options: DevOptions): Promise<void> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const mistakes = await mistakesOf(options);
  if (mistakes.length > 0) {
    for (const mistake of mistakes) process.stderr.write(`${mistake}\n`);
    process.exitCode = exitUsage;
    return;
  }
  const member = await startMember(options);
  if (member === undefined) return;
  const { folder, env, dataDir } = options;
  const transport = grpcTransportOver({ ...nodeRuntime, connect: () => member.connect() });
  const client = createClient({ endpoints: ['embedded:2379'], transport });
  const service = new FolderService(client, { folder, env, print, wall: () => Date.now() });
  print(
    `member     ${member.endpoint}  (data ${dataDir === undefined ? 'in memory only' : `in ${dataDir}`})`,
  );
  print(
    `folder     ${folder}  (<app>/<namespace>.yaml is for '${env}', <app>/<env>/<namespace>.yaml for any other)`,
  );
  await service.look(true);
  print('ready      every save is a release; Ctrl-C ends');
  const watch = new FolderWatch(folder, () => service.look());
  watch.start();
  void member.failed.then((cause) => {
    process.stderr.write(`the member cannot go on: ${cause.message}\n`);
    process.exit(exitFailed);
  });
  endOnSignal(async () => {
    await watch.close();
    await client.close();
    await member.stop();
    print('ended');
  });
}

async function mistakesOf({ folder, port, env }: DevOptions): Promise<readonly string[]> {
  const mistakes: string[] = [];
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    mistakes.push(
      `${folder} is no folder: make it (mkdir -p ${folder}/<app>), and put <namespace>.yaml files into it`,
    );
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    mistakes.push(`--port ${port}: a port is a number from 0 (any free one) to 65535`);
  }
  try {
    checkedName(env, '--env');
  } catch (error) {
    if (!(error instanceof ConfigModelError)) throw error;
    mistakes.push(error.message);
  }
  return mistakes;
}

/** Undefined, with the reason on standard error, when it cannot be started. */
async function startMember({
  port,
  dataDir,
}: DevOptions): Promise<(EmbeddedMember & { endpoint: string }) | undefined> {
  try {
    return await startEmbedded({ port: Number(port), ...(dataDir === undefined ? {} : { dataDir }) });
  } catch (error) {
    const remedy =
      error instanceof ListenError ? `; give another --port, for example --port ${Number(port) + 1}` : '';
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}${remedy}\n`);
    process.exitCode = exitFailed;
    return undefined;
  }
}

/** The second signal ends the process at once. */
function endOnSignal(end: () => Promise<void>): void {
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(exitForced);
      isEnding = true;
      end().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(
            `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
          );
          process.exit(exitFailed);
        },
      );
    });
  }
}
