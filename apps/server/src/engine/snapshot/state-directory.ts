import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { type Disk, DiskError, joinPath, removeIfThere } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { SnapshotError } from './snapshot-error.js';
import { copyContent, type WantedState } from './state-file.js';
import { type StateMark } from './state-seal.js';

export interface StateDirectoryOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly logger: Logger;
  /** The name of the file that the store has until a state is installed; undefined when it needs none. */
  readonly firstName: string | undefined;
}

/** A state that lies checked and synced in the directory, and is not in use yet. */
export interface StagedState {
  readonly name: string;
  readonly path: string;
  readonly mark: StateMark;
}

const pointerName = 'current';
const pointerFormat = 1;
const pointerBytesMax = 256;
const statePattern = /^state-(\d{8})\.db$/;
/** LMDB has a lock file beside its file. */
const lockSuffix = '-lock';

/**
 * The directory of a store that can be replaced as a whole: the file of the state in use, and a pointer that names it
 * once a state was installed.
 *
 *     state.lmdb                      the first state, without a pointer
 *     state-00000001.db   current     an installed one, and the pointer: one line of text
 *                                     conclave state <format> <name> <index> <term> <CRC-32 of all before, hex>
 *
 * A state is installed in this order: its file is written, synced and its name made durable; the pointer is written
 * beside the old one and synced; a rename puts it in place, and the directory is synced. A crash before the rename
 * leaves the old state, one after it the new; what nothing points to is removed at the next start. There is no moment at which
 * neither is whole.
 *
 * Invariants: the file that the pointer names is complete and durable. The sequence number of a new file is higher than
 * those of all there are.
 */
export class StateDirectory {
  private name: string | undefined;
  private mark: StateMark | undefined = undefined;
  private lastSequence = 0;

  private constructor(private readonly options: StateDirectoryOptions) {
    this.name = options.firstName;
  }

  /**
   * Reads which state is in use and removes all others. Creates the directory when it is missing.
   * @throws SnapshotError when the pointer is damaged, or what it names is missing; DiskError
   */
  static async open(options: StateDirectoryOptions): Promise<StateDirectory> {
    await options.disk.makeDirectory(options.directory);
    const states = new StateDirectory(options);
    await states.find();
    // The process before may have died between putting the pointer in place and making that durable.
    if (states.mark !== undefined) await options.disk.syncDirectory(options.directory);
    await states.removeOthers();
    return states;
  }

  /** Name of the file in use; undefined while there is none. */
  get currentName(): string | undefined {
    return this.name;
  }

  /** What the file in use held when it was installed; undefined when none ever was. */
  get installed(): StateMark | undefined {
    return this.mark;
  }

  path(name: string): string {
    return joinPath(this.options.directory, name);
  }

  /**
   * Copies the content of a state file into the directory, checked and durable. The state in use stays.
   * @throws SnapshotError, DiskError; nothing has changed then.
   */
  async stage(path: string, wanted: WantedState): Promise<StagedState> {
    const { disk, directory } = this.options;
    const name = `state-${String(++this.lastSequence).padStart(8, '0')}.db`;
    const staged = { name, path: this.path(name), mark: wanted.mark };
    try {
      await copyContent(disk, path, wanted, staged.path);
      await disk.syncDirectory(directory);
    } catch (error) {
      await this.discard(staged);
      throw error;
    }
    return staged;
  }

  /** Removes a staged state. Whatever cannot be removed now is at the next start. */
  async discard(staged: StagedState): Promise<void> {
    await this.removeQuietly(staged.name);
    await this.removeQuietly(staged.name + lockSuffix);
  }

  /** Writes the pointer to a staged state beside the old one. @throws DiskError; nothing has changed then. */
  async preparePointer(staged: StagedState): Promise<void> {
    const { disk } = this.options;
    const temporary = this.path(`${pointerName}.tmp`);
    await removeIfThere(disk, temporary);
    const file = await disk.open(temporary, 'create');
    try {
      await file.write(0, encodePointer(staged.name, staged.mark));
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /**
   * Puts the staged state, whose pointer was prepared, in the place of the one in use, durably.
   * @throws DiskError; then nobody knows which of the two the next start will find, and the member must stop.
   */
  async switchTo(staged: StagedState): Promise<void> {
    const { disk, directory } = this.options;
    await disk.rename(this.path(`${pointerName}.tmp`), this.path(pointerName));
    await disk.syncDirectory(directory);
    this.name = staged.name;
    this.mark = staged.mark;
  }

  /** Removes every state but the one in use; nothing has them open any more. */
  async removeOthers(): Promise<void> {
    const { disk, directory, firstName } = this.options;
    for (const name of await disk.list(directory)) {
      const base = name.endsWith(lockSuffix) ? name.slice(0, -lockSuffix.length) : name;
      const isState = statePattern.test(base) || base === firstName;
      if ((isState && base !== this.name) || name === `${pointerName}.tmp`) await this.removeQuietly(name);
    }
  }

  private async find(): Promise<void> {
    const { disk, directory, firstName } = this.options;
    const names = await disk.list(directory);
    for (const name of names) {
      const sequence = Number(statePattern.exec(name)?.[1] ?? 0);
      this.lastSequence = Math.max(this.lastSequence, sequence);
    }
    if (names.includes(pointerName)) {
      const pointer = decodePointer(await this.readPointer());
      if (pointer === undefined) throw this.damagedPointer('it cannot be read');
      if (!names.includes(pointer.name))
        throw this.damagedPointer(`${pointer.name}, which it names, is missing`);
      ({ name: this.name, mark: this.mark } = pointer);
    } else if (firstName !== undefined && this.lastSequence > 0 && !names.includes(firstName)) {
      // The first file is there until a pointer to another is durable.
      throw this.damagedPointer('it is missing, and so is the first state');
    }
  }

  private async readPointer(): Promise<Uint8Array> {
    const file = await this.options.disk.open(this.path(pointerName), 'read');
    try {
      return await file.read(0, pointerBytesMax);
    } finally {
      await file.close();
    }
  }

  private damagedPointer(reason: string): SnapshotError {
    return new SnapshotError(
      'corrupt',
      this.path(pointerName),
      `${this.path(pointerName)} is the pointer to the state in use: ${reason}. Put the data directory back as it was; if it is lost, remove ` +
        'this member from the cluster and add it again with an empty data directory.',
    );
  }

  private async removeQuietly(name: string): Promise<void> {
    try {
      await removeIfThere(this.options.disk, this.path(name));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.options.logger.warn('a state that is not in use cannot be removed', {
        path: this.path(name),
        code: error.code,
      });
    }
  }
}

function encodePointer(name: string, { index, term }: StateMark): Uint8Array {
  const text = `conclave state ${pointerFormat} ${name} ${index} ${term} `;
  return Buffer.from(`${text}${crc32(text).toString(16)}\n`, 'latin1');
}

/** Undefined when the bytes are no pointer. @throws SnapshotError when a later release wrote it. */
function decodePointer(bytes: Uint8Array): { name: string; mark: StateMark } | undefined {
  const match = /^(conclave state (\d+) (\S+) (\d+) (\d+) )([0-9a-f]+)\n$/.exec(
    Buffer.from(bytes).toString('latin1'),
  );
  if (match === null) return undefined;
  const [, text, format, name, index, term, checksum] = match;
  if (crc32(text!).toString(16) !== checksum || !statePattern.test(name!)) return undefined;
  if (Number(format) > pointerFormat) {
    throw new SnapshotError(
      'newer format',
      pointerName,
      `the pointer to the state has format ${format}; this release reads formats up to ${pointerFormat}. Start the release that wrote it.`,
    );
  }
  return { name: name!, mark: { index: Number(index), term: Number(term) } };
}
