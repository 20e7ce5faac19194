import {
  type Disk,
  type DiskFile,
  type LogBuffer,
  type LogWriter,
  type LogWriterListener,
  type OpenMode,
} from '../../../apps/server/src/engine/platform/disk.js';

/** A disk that passes everything on; planted mistakes change its log writer. */
export abstract class WrappedDisk implements Disk {
  constructor(protected readonly inner: Disk) {}

  abstract openLogWriter(listener: LogWriterListener): LogWriter;

  list(directory: string): Promise<readonly string[]> {
    return this.inner.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.inner.makeDirectory(directory);
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.inner.open(path, mode);
  }

  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.inner.remove(path);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.inner.syncDirectory(directory);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Writes, and says "durable" before it is: the sync is left out. */
export class UnsyncedDisk extends WrappedDisk {
  openLogWriter(listener: LogWriterListener): LogWriter {
    const writer = this.inner.openLogWriter(listener);
    return {
      allocate: (bytes: number): LogBuffer => writer.allocate(bytes),
      release: (buffer: LogBuffer) => writer.release(buffer),
      write: (file: DiskFile, offset: number, buffer: LogBuffer, length: number) =>
        writer.write(file, offset, buffer, length, false),
      close: () => writer.close(),
    };
  }
}

/** Takes a failed sync for a good one, as if a second one had been tried: the kernel then says that all is well. */
export class ForgivingDisk extends WrappedDisk {
  openLogWriter(listener: LogWriterListener): LogWriter {
    return this.inner.openLogWriter({
      onWritten: (writeMs, syncMs) => listener.onWritten(writeMs, syncMs),
      onWriteFailed: () => listener.onWritten(0, 0),
    });
  }
}
