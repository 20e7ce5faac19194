import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageReader, MessageReadError, prefixBytes, writePrefix } from './message-reader.js';

function frame(message: Uint8Array, compressed = false): Uint8Array {
  const framed = new Uint8Array(prefixBytes + message.length);
  writePrefix(framed, 0, compressed, message.length);
  framed.set(message, prefixBytes);
  return framed;
}

/** Feeds chunks as views of one reused buffer, as the transport does, and copies what comes out. */
function readAll(reader: MessageReader, chunks: readonly Uint8Array[]): Buffer[] {
  const messages: Buffer[] = [];
  const reused = Buffer.alloc(Math.max(1, ...chunks.map((chunk) => chunk.length)));
  for (const chunk of chunks) {
    reused.set(chunk);
    reader.push(reused.subarray(0, chunk.length));
    for (let message = reader.next(); message !== undefined; message = reader.next()) {
      messages.push(Buffer.from(new Uint8Array(message)));
    }
    reader.settle();
    reused.fill(0xee);
  }
  return messages;
}

describe('MessageReader', () => {
  it('cuts any chunking of any messages into the same messages', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map((message) => frame(message)));
          const chunks: Uint8Array[] = [];
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = cuts[i % cuts.length] as number;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          const reader = new MessageReader(60);
          expect(readAll(reader, chunks)).toEqual(messages.map((message) => Buffer.from(message)));
          expect(reader.isBetweenMessages).toBe(true);
        },
      ),
    );
  });

  it('gives a message that lies whole in the view without copying it', () => {
    const view = frame(new Uint8Array([1, 2, 3]));
    const reader = new MessageReader(10);
    reader.push(view);
    expect(reader.next()?.buffer).toBe(view.buffer);
  });

  it('tells the compressed flag of each message', () => {
    const reader = new MessageReader(10);
    reader.push(Buffer.concat([frame(new Uint8Array(1), true), frame(new Uint8Array(1))]));
    reader.next();
    expect(reader.compressed).toBe(true);
    reader.next();
    expect(reader.compressed).toBe(false);
  });

  it('knows that a message is incomplete', () => {
    const reader = new MessageReader(10);
    const bytes = frame(new Uint8Array(4));
    for (let length = 1; length < bytes.length; length++) {
      const partial = new MessageReader(10);
      partial.push(bytes.subarray(0, length));
      expect(partial.next()).toBeUndefined();
      partial.settle();
      expect(partial.isBetweenMessages).toBe(false);
    }
    expect(reader.isBetweenMessages).toBe(true);
  });

  it('refuses a length above the limit by its prefix alone, in the words of grpc-go', () => {
    const reader = new MessageReader(100);
    reader.push(new Uint8Array([0, 0xff, 0xff, 0xff, 0xff]));
    expect(() => reader.next()).toThrow(
      expect.objectContaining({
        fault: 'too-large',
        message: 'grpc: received message larger than max (4294967295 vs. 100)',
      }),
    );
  });

  it('takes a message of exactly the limit and refuses one octet more', () => {
    expect(readAll(new MessageReader(8), [frame(new Uint8Array(8))])).toHaveLength(1);
    expect(() => readAll(new MessageReader(8), [frame(new Uint8Array(9))])).toThrow(MessageReadError);
  });

  it('refuses flags that gRPC does not define', () => {
    const reader = new MessageReader(100);
    reader.push(new Uint8Array([2, 0, 0, 0, 0]));
    expect(() => reader.next()).toThrow(expect.objectContaining({ fault: 'bad-flag' }));
  });

  it('takes memory for what arrived, not for what is claimed', () => {
    const readers = Array.from({ length: 200 }, () => new MessageReader(64 * 1024 * 1024));
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) {
      reader.push(new Uint8Array([0, 0x03, 0xff, 0xff, 0xff, 1]));
      reader.next();
      reader.settle();
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });
});
