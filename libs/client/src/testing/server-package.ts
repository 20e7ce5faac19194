import { type Pipe } from '@conclave/grpc';
import type { createRequire } from 'node:module';
import { InvalidArgumentError } from '../errors.js';

/** What `@conclave/server/embed` exports, as far as it is used here. */
export interface ServerPackage {
  startEmbedded(options: ServerOptions): Promise<RunningServer>;
}

export interface ServerOptions {
  readonly dataDir?: string;
  readonly port?: number;
  readonly options?: Readonly<Record<string, string>>;
}

export interface RunningServer {
  /** Undefined without a port. */
  readonly endpoint: string | undefined;
  /** Resolves with the cause when the member cannot go on. */
  readonly failed: Promise<Error>;
  /** The client's end of a connection inside this process. */
  connect(): Pipe;
  stop(): Promise<void>;
}

const packageName: string = '@conclave/server/embed';
const absent = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** @throws InvalidArgumentError (rejects) when the package is not installed. */
export async function loadServerPackage(): Promise<ServerPackage> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Only its own absence: what it lacks itself is another mistake.
    if (!absent.has(code ?? '') || !message.includes('@conclave/server')) throw error;
    const remedy = 'install @conclave/server as a development dependency to use startEmbedded()';
    throw new InvalidArgumentError(`${remedy}; fakeConclave() needs no server`, { cause: error });
  }
}

async function load(): Promise<ServerPackage> {
  try {
    return (await import(packageName)) as ServerPackage;
  } catch (error) {
    if (!/^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    // Test runners with a sandbox of their own, Jest for one, have no dynamic import in it; Node itself has `require` for both kinds
    // of modules.
    const { createRequire: outside } = process.getBuiltinModule('node:module') as {
      createRequire: typeof createRequire;
    };
    return outside(import.meta.url)(packageName) as ServerPackage;
  }
}
