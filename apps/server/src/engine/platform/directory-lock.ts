import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Logger } from './logger.js';
import { errorCode } from './node-disk-io.js';

/**
 * Why a data directory is refused: another process uses it; others may write into it; this process cannot write into
 * it; its file system has no sockets.
 */
export type DirectoryLockErrorCode = 'in use' | 'open to others' | 'not writable' | 'not supported';

/** Is thrown when a data directory cannot be taken. The message names the directory and what to do. */
export class DirectoryLockError extends Error {
  override readonly name = 'DirectoryLockError';

  constructor(
    readonly code: DirectoryLockErrorCode,
    readonly directory: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`the data directory ${directory} ${message}`, options);
  }
}

const namePattern = /^lock-([0-9a-f]{16})\.sock$/;
/** Paths of sockets end at 104 bytes on macOS and 108 on Linux. */
const socketPathMax = 100;
/** A holder that was stopped (SIGSTOP) accepts connections, but does not answer. It holds the lock. */
const answerMs = 2000;

/**
 * The right to use a data directory. At most one process has it; it ends with the process, however that dies, because what holds it is a
 * listening socket and not a file.
 *
 * Node has no flock. Each process that wants the lock listens on a socket of its own, with a random name inside the directory, and
 * only then looks for others. Of two that start at the same time, the one that looked later sees the other, so two can never hold
 * the lock; if both see each other, the lower name goes on. A name that nobody listens on belongs to a dead process and is
 * removed. A process whose own name was removed (in the instant between its creation and its listening) starts over.
 */
export class DirectoryLock {
  private constructor(
    readonly directory: string,
    private readonly own: OwnSocket,
  ) {}

  /**
   * Creates the directory (mode 0700) when it is missing, checks who may write into it, and takes the lock.
   *
   * @throws DirectoryLockError
   */
  static async acquire(directory: string, logger: Logger): Promise<DirectoryLock> {
    const path = resolve(directory);
    prepareDirectory(path, logger);
    const reach = reachDirectory(path);
    try {
      for (;;) {
        const own = await OwnSocket.open(reach.path, path);
        try {
          const verdict = await compete(reach.path, path, own);
          if (verdict === 'held') {
            own.hold(reach);
            return new DirectoryLock(path, own);
          }
        } catch (error) {
          await own.close();
          throw error;
        }
        await own.close();
      }
    } catch (error) {
      reach.leave();
      throw error;
    }
  }

  /** Idempotent. */
  async release(): Promise<void> {
    await this.own.close();
  }
}

function prepareDirectory(directory: string, logger: Logger): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(directory, error);
  }
  const mode = statSync(directory).mode & 0o777;
  if ((mode & 0o002) !== 0) {
    throw new DirectoryLockError(
      'open to others',
      directory,
      `can be written by every user (mode 0${mode.toString(8)}). Run: chmod 700 ${directory}`,
    );
  }
  if ((mode & 0o077) !== 0) {
    logger.warn('the data directory is open to other users', {
      directory,
      mode: `0${mode.toString(8)}`,
      advice: 'chmod 700',
    });
  }
}

function notWritable(directory: string, cause: unknown): DirectoryLockError {
  return new DirectoryLockError(
    'not writable',
    directory,
    `cannot be created or written (${errorCode(cause)}). Give it to the user that runs this process, mount it writable, or choose ` +
      'another one.',
    { cause },
  );
}

/** A path to the directory that is short enough for the name of a socket. */
interface Reach {
  readonly path: string;
  leave(): void;
}

function reachDirectory(directory: string): Reach {
  if (Buffer.byteLength(join(directory, 'lock-0123456789abcdef.sock')) <= socketPathMax) {
    return { path: directory, leave: () => {} };
  }
  if (existsSync('/proc/self/fd')) {
    const fd = openSync(directory, 'r');
    return { path: `/proc/self/fd/${fd}`, leave: () => closeSync(fd) };
  }
  const base = Buffer.byteLength(tmpdir()) > 50 ? '/tmp' : tmpdir();
  const link = mkdtempSync(join(base, 'cl-'));
  symlinkSync(directory, join(link, 'd'));
  return { path: join(link, 'd'), leave: () => rmSync(link, { recursive: true, force: true }) };
}

/** The socket by which this process is seen. Says `held` to whoever asks, once it holds the lock. */
class OwnSocket {
  private readonly peers = new Set<Socket>();
  private held = false;
  private reach: Reach | undefined;

  private constructor(
    readonly name: string,
    private readonly server: Server,
  ) {}

  static async open(reached: string, directory: string): Promise<OwnSocket> {
    const name = `lock-${randomBytes(8).toString('hex')}.sock`;
    const server = createServer();
    const own = new OwnSocket(name, server);
    server.on('connection', (peer) => own.greet(peer));
    await new Promise<void>((listening, reject) => {
      server.once('error', (error) => reject(listenError(directory, error)));
      server.listen({ path: join(reached, name), exclusive: true }, listening);
    });
    server.removeAllListeners('error').on('error', () => {});
    server.unref();
    return own;
  }

  hold(reach: Reach): void {
    this.held = true;
    this.reach = reach;
    for (const peer of this.peers) peer.end('held\n');
  }

  close(): Promise<void> {
    for (const peer of this.peers) peer.destroy();
    const { reach } = this;
    this.reach = undefined;
    return new Promise((done) => {
      this.server.close(() => {
        reach?.leave();
        done();
      });
    });
  }

  private greet(peer: Socket): void {
    peer.unref();
    peer.on('error', () => {});
    peer.on('close', () => this.peers.delete(peer));
    peer.resume();
    this.peers.add(peer);
    if (this.held) peer.end('held\n');
  }
}

function listenError(directory: string, error: Error): DirectoryLockError {
  const code = errorCode(error);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return notWritable(directory, error);
  return new DirectoryLockError(
    'not supported',
    directory,
    `cannot hold a lock (${code}): its file system must allow unix sockets. Choose a directory on a local disk.`,
    { cause: error },
  );
}

/** `held`: nobody else is there, the lock is ours. `again`: our name was removed, or who was there has gone. */
async function compete(reached: string, directory: string, own: OwnSocket): Promise<'held' | 'again'> {
  const names = readdirSync(reached).filter((name) => namePattern.test(name));
  if (!names.includes(own.name)) return 'again';
  let again = false;
  for (const name of names) {
    if (name === own.name) continue;
    const state = await ask(join(reached, name), own.name < name);
    if (state === 'dead') removeIfThere(join(reached, name));
    if (state === 'alive') throw inUse(directory);
    if (state === 'gone') again = true;
  }
  return again ? 'again' : 'held';
}

function inUse(directory: string): DirectoryLockError {
  return new DirectoryLockError(
    'in use',
    directory,
    'is in use by another process. Stop that process, or give each member a data directory of its own.',
  );
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/**
 * What is behind a name. With `patient`, a process that is still competing is waited for: it gives way to us, or turns out to
 * hold the lock.
 */
function ask(path: string, patient: boolean): Promise<'dead' | 'alive' | 'gone'> {
  return new Promise((answer) => {
    let connected = false;
    const socket = connect(path);
    const timer = setTimeout(() => finish('alive'), answerMs);
    const finish = (state: 'dead' | 'alive' | 'gone'): void => {
      clearTimeout(timer);
      socket.destroy();
      answer(state);
    };
    socket.on('connect', () => {
      connected = true;
      if (!patient) finish('alive');
    });
    socket.on('data', () => finish('alive'));
    socket.on('error', (error) => {
      const code = errorCode(error);
      if (!connected && code === 'ECONNREFUSED') finish('dead');
      else finish(connected || code === 'ENOENT' ? 'gone' : 'alive');
    });
    socket.on('close', () => finish('gone'));
  });
}
