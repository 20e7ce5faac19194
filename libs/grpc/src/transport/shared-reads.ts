import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';

/** What one read takes at most: as much as libuv would offer. */
const readBytes = 65_536;

/** Every read of every socket that shares lands here, and is used up before the next one. */
const buffer = Buffer.allocUnsafeSlow(readBytes);

/**
 * The names under which a socket keeps what the option `onread` of `net.connect` sets. Sockets that a server accepted
 * have the same slots, but no option for them.
 */
const slotNames = ['kBuffer', 'kBufferCb'] as const;

interface ReadHandle {
  useUserBuffer?: (buffer: Uint8Array) => void;
}

/**
 * Lets an accepted TCP socket read into one buffer, as the option `onread` does for sockets that connect: no
 * allocation of 64 KiB and no stream machinery per read. `onBytes` gets a view that the next read of any socket
 * overwrites; `data` is not emitted any more, everything else stays as it is.
 *
 * @returns false, with nothing changed, where this version of Node keeps these things otherwise, and for sockets that
 * are not plain (TLS decrypts into chunks of its own).
 */
export function shareReads(socket: Socket, onBytes: (bytes: Buffer) => void): boolean {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return false;
  const handle = (socket as unknown as { _handle?: ReadHandle | null })._handle;
  const symbols = Object.getOwnPropertySymbols(socket);
  const [bufferSlot, callbackSlot] = slotNames.map((name) => symbols.find((s) => s.description === name));
  if (typeof handle?.useUserBuffer !== 'function') return false;
  if (bufferSlot === undefined || callbackSlot === undefined) return false;
  const slots = socket as unknown as Record<symbol, unknown>;
  if (slots[bufferSlot] !== null || slots[callbackSlot] !== null) return false;
  slots[bufferSlot] = buffer;
  slots[callbackSlot] = (bytesRead: number): boolean => {
    onBytes(buffer.subarray(0, bytesRead));
    return true;
  };
  handle.useUserBuffer(buffer);
  return true;
}
