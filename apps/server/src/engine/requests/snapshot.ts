import { createHash } from 'node:crypto';
import { ProtocolError, WireWriter } from '@conclave/protocol';
import { joinPath, type DiskFile } from '../platform/disk.js';
import { doublingBuckets, type Histogram } from '../platform/meter.js';
import { asProtocolError } from './decode.js';
import type { RequestStream, ResponseStream, StreamMethod } from './method.js';
import type { RequestParts } from './request-parts.js';
import { storageVersion } from './version.js';

/** Size of the blobs, as etcd's. */
const blobBytes = 32 * 1024;
/** Read from the copy at once. A multiple of the size of a blob. */
const partBytes = 8 * blobBytes;
/** etcdctl takes a file for whole when its size is this and a SHA-256 beyond a multiple of this. */
const sectorBytes = 512;
/** Copies that may be on their way at once: each takes as much room on the disk as the store. */
const streamsMax = 4;

/** As etcd's. */
const durationBuckets = doublingBuckets(0.01, 17);

/**
 * Maintenance.Snapshot: the state of this member at one applied entry, with everything that was applied when it was asked for.
 * The blobs joined are a state file (see snapshot/state-seal.ts), zero bytes up to a multiple of 512, and, in a message of its
 * own, the SHA-256 of all that. `remaining_bytes` counts what comes before that hash, as etcd's.
 *
 * The copy is written beside the store while everything goes on, and removed when it was sent.
 */
export function snapshotMethod(parts: RequestParts): StreamMethod {
  const help = 'The latency distribution of backend snapshots.';
  const durations = parts.meter.histogram(
    'etcd_disk_backend_snapshot_duration_seconds',
    help,
    durationBuckets,
  );
  const slots = new CopySlots();
  return {
    kind: 'stream',
    open: (_context, responses) => new SnapshotStream(parts, responses, slots, durations),
  };
}

/** Gives each copy a name of its own, and no more than a few at once. */
class CopySlots {
  private used = 0;
  private lastNumber = 0;

  /** @throws ProtocolError RequestTooManyRequests */
  take(): string {
    if (this.used === streamsMax) throw ProtocolError.of('RequestTooManyRequests');
    this.used++;
    return `snapshot-${++this.lastNumber}`;
  }

  release(): void {
    this.used--;
  }
}

class SnapshotStream implements RequestStream {
  private hasBegun = false;
  private isCancelled = false;
  /** Resolves the wait of a sender that holds back. */
  private goOn: (() => void) | undefined;

  constructor(
    private readonly parts: RequestParts,
    private readonly responses: ResponseStream,
    private readonly slots: CopySlots,
    private readonly durations: Histogram,
  ) {
    responses.onDrain = () => this.resume();
  }

  message(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    void this.run();
  }

  halfClose(): void {}

  cancel(): void {
    this.isCancelled = true;
    this.resume();
  }

  private async run(): Promise<void> {
    try {
      const name = this.slots.take();
      try {
        await this.copyAndSend(name);
      } finally {
        this.slots.release();
      }
      if (!this.isCancelled) this.responses.end();
    } catch (error) {
      if (!this.isCancelled) this.responses.end(asProtocolError(error));
    }
  }

  private async copyAndSend(name: string): Promise<void> {
    const { backend, disk, clock, spoolDirectory } = this.parts;
    const began = clock.now();
    const path = joinPath(spoolDirectory, name);
    await disk.makeDirectory(spoolDirectory);
    await backend.flush();
    if (this.isCancelled) return;
    const { bytes } = await backend.copyTo(path);
    try {
      const file = await disk.open(path, 'read');
      try {
        await this.send(file, bytes);
      } finally {
        await file.close();
      }
    } finally {
      // What stays after a crash is removed at the next start.
      await disk.remove(path);
    }
    this.durations.observe((clock.now() - began) / 1_000);
  }

  private async send(file: DiskFile, fileBytes: number): Promise<void> {
    const digest = createHash('sha256');
    const totalBytes = Math.ceil(fileBytes / sectorBytes) * sectorBytes;
    for (let at = 0; at < totalBytes && !this.isCancelled;) {
      const part = await readPadded(file, at, Math.min(partBytes, totalBytes - at), fileBytes);
      digest.update(part);
      for (let from = 0; from < part.length && !this.isCancelled; from += blobBytes) {
        const blob = part.subarray(from, from + blobBytes);
        await this.sendBlob(blob, totalBytes - at - from - blob.length);
      }
      at += part.length;
    }
    if (!this.isCancelled) await this.sendBlob(digest.digest(), 0);
  }

  private async sendBlob(blob: Uint8Array, remainingBytes: number): Promise<void> {
    const message = new WireWriter(blob.length + 64)
      .uint(2, remainingBytes)
      .bytes(3, blob)
      .string(4, storageVersion)
      .take();
    if (this.responses.send(message) || this.isCancelled) return;
    await new Promise<void>((resolve) => (this.goOn = resolve));
  }

  private resume(): void {
    const { goOn } = this;
    this.goOn = undefined;
    goOn?.();
  }
}

/** Bytes of a file that is followed by zero bytes without end. @throws DiskError; RangeError when the file is shorter than `fileBytes` */
async function readPadded(
  file: DiskFile,
  at: number,
  length: number,
  fileBytes: number,
): Promise<Uint8Array> {
  const wanted = Math.max(0, Math.min(length, fileBytes - at));
  const bytes = wanted === 0 ? new Uint8Array(0) : await file.read(at, wanted);
  if (bytes.length !== wanted) throw new RangeError(`${file.path} ends at ${at + bytes.length}`);
  if (wanted === length) return bytes;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  return padded;
}
