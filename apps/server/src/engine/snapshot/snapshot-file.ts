import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../platform/assert.js';
import { parentPath, removeIfThere, type Disk, type DiskFile } from '../platform/disk.js';
import { corruptSnapshot, SnapshotError } from './snapshot-error.js';
import {
  chunkBytesMax,
  chunkHeadBytes,
  decodeDescription,
  decodeHead,
  descriptionBytesMax,
  encodeDescription,
  endBytes,
  headBytes,
  snapshotFormat,
  type SnapshotDescription,
} from './snapshot-format.js';

const chunkBytes = 256 * 1024;
/** Synced in parts, so that the last sync is short and the page cache stays small. */
const syncBytes = 16 * 1024 * 1024;

/**
 * Writes a snapshot beside its final name and gives it that name when it is complete and durable. One call at a time; `finish` or `abort` ends
 * it.
 */
export class SnapshotWriter {
  private readonly digest = createHash('sha256');
  private readonly chunk = new Uint8Array(chunkHeadBytes + chunkBytes);
  private filled = 0;
  private offset = 0;
  private unsynced = 0;
  private payloadBytes = 0;
  private crc = 0;

  private constructor(
    private readonly disk: Disk,
    private readonly path: string,
    private readonly file: DiskFile,
  ) {}

  /** `path`: the final name; a file there is replaced at the end. @throws DiskError */
  static async create(disk: Disk, path: string, description: SnapshotDescription): Promise<SnapshotWriter> {
    const temporary = `${path}.tmp`;
    await removeIfThere(disk, temporary);
    const writer = new SnapshotWriter(disk, path, await disk.open(temporary, 'create'));
    const { bytes, crc } = encodeDescription(description);
    writer.crc = crc;
    await writer.put(bytes);
    return writer;
  }

  /** Adds payload of any length. @throws DiskError */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + chunkBytes - this.filled);
      this.chunk.set(part, chunkHeadBytes + this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === chunkBytes) await this.putChunk();
    }
  }

  /** Completes the file. When this resolves, it is durable under its name. Returns its size in bytes. @throws DiskError */
  async finish(): Promise<number> {
    if (this.filled > 0) await this.putChunk();
    const end = new Uint8Array(endBytes);
    const view = new DataView(end.buffer);
    view.setBigUint64(4, BigInt(this.payloadBytes), true);
    this.digest.update(end.subarray(0, 12));
    end.set(this.digest.digest(), 12);
    await this.file.write(this.offset, end);
    await this.file.sync();
    await this.file.close();
    await this.disk.rename(this.file.path, this.path);
    await this.disk.syncDirectory(parentPath(this.path));
    return this.offset + end.length;
  }

  /** Removes what was written. */
  async abort(): Promise<void> {
    await this.file.close();
    await removeIfThere(this.disk, this.file.path);
  }

  private async putChunk(): Promise<void> {
    const { chunk, filled } = this;
    const view = new DataView(chunk.buffer);
    this.crc = crc32(chunk.subarray(chunkHeadBytes, chunkHeadBytes + filled), this.crc);
    view.setUint32(0, filled, true);
    view.setUint32(4, this.crc, true);
    this.filled = 0;
    this.payloadBytes += filled;
    await this.put(chunk.subarray(0, chunkHeadBytes + filled));
  }

  private async put(bytes: Uint8Array): Promise<void> {
    this.digest.update(bytes);
    await this.file.write(this.offset, bytes);
    this.offset += bytes.length;
    this.unsynced += bytes.length;
    if (this.unsynced < syncBytes) return;
    this.unsynced = 0;
    await this.file.sync();
  }
}

/**
 * Reads a snapshot. What `chunks` gives is checked part by part, but is the whole state only when the iteration ends without an error: until
 * then it must not be put into use.
 */
export class SnapshotReader {
  private readonly digest = createHash('sha256');
  private offset = 0;
  private started = false;

  private constructor(
    private readonly file: DiskFile,
    readonly description: SnapshotDescription,
    private crc: number,
  ) {}

  /** @throws SnapshotError, DiskError */
  static async open(disk: Disk, path: string): Promise<SnapshotReader> {
    const file = await disk.open(path, 'read');
    try {
      const headPart = await file.read(0, headBytes);
      const head = decodeHead(headPart);
      if (head === undefined) throw corruptSnapshot(path, 0, 'the head cannot be read');
      if (head.format > snapshotFormat) {
        throw new SnapshotError(
          'newer format',
          path,
          `the snapshot ${path} has format ${head.format}; this release reads formats up to ${snapshotFormat}. Start the release that wrote it, ` +
            'or a later one.',
        );
      }
      if (head.format < 1 || head.length > descriptionBytesMax)
        throw corruptSnapshot(path, 0, 'the head makes no sense');
      const part = await file.read(headBytes, head.length + 4);
      const decoded = decodeDescription(part, head.length, head.crc);
      if (decoded === undefined) throw corruptSnapshot(path, headBytes, 'the description cannot be read');
      const reader = new SnapshotReader(file, decoded.description, decoded.crc);
      reader.digest.update(headPart).update(part);
      reader.offset = headBytes + part.length;
      return reader;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The payload, in order, once. Each array belongs to the caller. @throws SnapshotError, DiskError */
  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    assert(!this.started, 'a snapshot is read once');
    this.started = true;
    let payloadBytes = 0;
    for (;;) {
      const head = await this.read(this.offset, 4);
      const length = view(head).getUint32(0, true);
      if (length === 0) break;
      if (length > chunkBytesMax) throw this.corrupt(`a chunk of ${length} bytes is not possible`);
      const rest = await this.read(this.offset + 4, 4 + length);
      const payload = rest.subarray(4);
      this.crc = crc32(payload, this.crc);
      if (view(rest).getUint32(0, true) !== this.crc) throw this.corrupt('the checksum of a chunk is wrong');
      this.digest.update(head).update(rest);
      this.offset += 8 + length;
      payloadBytes += length;
      yield payload;
    }
    const end = await this.read(this.offset, endBytes);
    this.digest.update(end.subarray(0, 12));
    if (view(end).getBigUint64(4, true) !== BigInt(payloadBytes)) throw this.corrupt('chunks are missing');
    if (!this.digest.digest().equals(end.subarray(12))) throw this.corrupt('the digest is wrong');
    if ((await this.file.size()) !== this.offset + endBytes) throw this.corrupt('bytes follow the end');
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.file.close();
  }

  private async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.file.read(offset, length);
    if (bytes.length !== length) throw this.corrupt('the file ends too early');
    return bytes;
  }

  private corrupt(reason: string): SnapshotError {
    return corruptSnapshot(this.file.path, this.offset, reason);
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
