import { describe, expect, it } from 'vitest';
import { VirtualRuntime } from '../testing/virtual-runtime.js';
import { createMemoryPipePair } from './memory-pipe.js';
import { type Pipe, type PipeHandler } from './pipe.js';

class Recorder implements PipeHandler {
  readonly log: string[] = [];

  constructor(readonly pipe: Pipe) {
    pipe.handler = this;
  }

  onOpen(): void {
    this.log.push('open');
  }

  onBytes(chunk: Uint8Array): void {
    this.log.push(Buffer.from(chunk).toString());
  }

  onDrain(): void {
    this.log.push('drain');
  }

  onEnd(): void {
    this.log.push('end');
  }

  onClose(error: Error | undefined): void {
    this.log.push(`close ${error?.message ?? ''}`);
  }
}

function pair(highWaterBytes = 10): { runtime: VirtualRuntime; a: Recorder; b: Recorder } {
  const runtime = new VirtualRuntime();
  const [a, b] = createMemoryPipePair(runtime, { highWaterBytes });
  return { runtime, a: new Recorder(a), b: new Recorder(b) };
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('memory pipe', () => {
  it('delivers in order, never inside of write', async () => {
    const { runtime, a, b } = pair();
    expect(a.pipe.write([bytes('one'), bytes(''), bytes('two')])).toBe(true);
    expect(b.log).toEqual([]);
    await runtime.settle();
    expect(b.log).toEqual(['one', 'two']);
  });

  it('holds the writer back while the reader pauses, and lets it go on', async () => {
    const { runtime, a, b } = pair();
    b.pipe.pause();
    expect(a.pipe.write([bytes('0123456789')])).toBe(true);
    expect(a.pipe.write([bytes('x')])).toBe(false);
    expect(a.pipe.queuedBytes).toBe(11);
    await runtime.settle();
    expect(b.log).toEqual([]);
    b.pipe.resume();
    await runtime.settle();
    expect(b.log).toEqual(['0123456789', 'x']);
    expect(a.log).toEqual(['drain']);
    expect(a.pipe.queuedBytes).toBe(0);
  });

  it('delivers everything before the end, and closes when both have ended', async () => {
    const { runtime, a, b } = pair();
    a.pipe.write([bytes('last')]);
    a.pipe.end();
    a.pipe.write([bytes('dropped')]);
    await runtime.settle();
    expect(b.log).toEqual(['last', 'end']);
    b.pipe.write([bytes('answer')]);
    b.pipe.end();
    await runtime.settle();
    expect(a.log).toEqual(['answer', 'end', 'close ']);
    expect(b.log).toEqual(['last', 'end', 'close ']);
  });

  it('closes both ends when one is destroyed', async () => {
    const { runtime, a, b } = pair();
    a.pipe.destroy(new Error('broken'));
    a.pipe.destroy();
    b.pipe.write([bytes('dropped')]);
    await runtime.settle();
    expect(a.log).toEqual(['close broken']);
    expect(b.log).toEqual(['close ']);
  });

  it('keeps what arrives before there is a handler', async () => {
    const runtime = new VirtualRuntime();
    const [a, b] = createMemoryPipePair(runtime);
    a.write([bytes('early')]);
    await runtime.settle();
    const late = new Recorder(b);
    await runtime.settle();
    expect(late.log).toEqual(['early']);
  });
});
