import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedMessageError } from './byte-fields.js';
import { type Addresses, decodeBatch, decodeMessage, encodeBatch, wireBytesMax } from './message-codec.js';
import {
  kindNumbers,
  queryMethodNumbers,
  refusalNumbers,
  type WireKind,
  type WireMessage,
} from './message-kinds.js';

const addresses: Addresses = { from: 2n ** 64n - 1n, to: 7n };
const counter = fc.oneof(
  fc.nat(300),
  fc.nat({ max: Number.MAX_SAFE_INTEGER - 20 }),
  fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER - 20),
);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 300 });
const names = <T extends string>(numbers: Record<T, number>): fc.Arbitrary<T> =>
  fc.constantFrom(...(Object.keys(numbers) as T[]));

const entries = fc.array(
  fc.record({ term: counter, kind: fc.constantFrom('normal' as const, 'config' as const), data: bytes }),
  { maxLength: 20 },
);

/** The fields of each kind beside its envelope. */
const fieldsOf: Readonly<Record<WireKind, fc.Arbitrary<object>>> = {
  'pre-vote': fc.record({ lastIndex: counter, lastTerm: counter }),
  'pre-vote-reply': fc.record({ granted: fc.boolean() }),
  vote: fc.record({ lastIndex: counter, lastTerm: counter, transfer: fc.boolean() }),
  'vote-reply': fc.record({ granted: fc.boolean() }),
  append: fc
    .record({ previousIndex: counter, previousTerm: counter, commit: counter, entries })
    .map((append) => ({
      ...append,
      entries: append.entries.map((entry, i) => ({ ...entry, index: append.previousIndex + 1 + i })),
    })),
  'append-reply': fc.record({ index: counter }),
  'append-rejection': fc.record({
    previousIndex: counter,
    hintIndex: counter,
    hintTerm: counter,
    needsState: fc.boolean(),
  }),
  heartbeat: fc.record({ commit: counter, readSequence: counter }),
  'heartbeat-reply': fc.record({ readSequence: counter }),
  'read-index': fc.record({ request: counter }),
  'read-index-reply': fc.record({ request: counter, sequence: counter, index: counter }),
  'read-index-refusal': fc.record({ request: counter }),
  'stale-term': fc.constant({}),
  'timeout-now': fc.constant({}),
  committed: fc.record({ index: counter, entryTerm: counter }),
  propose: fc.record({ command: bytes }),
  'propose-refused': fc.record({ boot: uint64, sequence: counter, reason: names(refusalNumbers) }),
  query: fc.record({ request: counter, boot: uint64, method: names(queryMethodNumbers), payload: bytes }),
  'query-reply': fc.record({
    request: counter,
    boot: uint64,
    error: fc.option(fc.string({ unit: 'grapheme', maxLength: 40 }), { nil: undefined }),
    payload: bytes,
  }),
  chains: fc.record({ index: counter, log: uint64, results: uint64 }),
};

const message: fc.Arbitrary<WireMessage> = names(kindNumbers).chain((kind) =>
  fc
    .tuple(fieldsOf[kind], counter)
    .map(([fields, term]) => ({ kind, ...addresses, term, ...fields }) as WireMessage),
);

function decoded(batch: Uint8Array): WireMessage[] {
  const messages: WireMessage[] = [];
  decodeBatch(batch, addresses, (each) => messages.push(each));
  return messages;
}

/** What is read of bytes that may be anything: messages, or a refusal. Everything else is a crash. */
function tryDecoding(batch: Uint8Array): WireMessage[] | 'refused' {
  try {
    return decoded(batch);
  } catch (error) {
    if (error instanceof MalformedMessageError) return 'refused';
    throw error;
  }
}

/** Buffers and plain arrays of the same bytes are the same message. */
const plain = (messages: readonly WireMessage[]): unknown =>
  JSON.parse(
    JSON.stringify(messages, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? [...value] : value,
    ).replaceAll(/\{"type":"Buffer","data":(\[[^\]]*\])\}/g, '$1'),
  );

describe('the codec of messages', () => {
  it('gives back every message of every kind', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const batch = encodeBatch(messages);
        expect(plain(decoded(batch))).toEqual(plain(messages));
        expect(batch.length).toBeLessThanOrEqual(messages.reduce((sum, each) => sum + wireBytesMax(each), 1));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is compact: a heartbeat takes ten bytes, an append of a small command twenty beside it', () => {
    const heartbeat: WireMessage = {
      kind: 'heartbeat',
      ...addresses,
      term: 3,
      commit: 1_000,
      readSequence: 9,
    };
    expect(encodeBatch([heartbeat]).length).toBeLessThanOrEqual(10);
    const data = new Uint8Array(100);
    const append: WireMessage = {
      kind: 'append',
      ...addresses,
      term: 3,
      previousIndex: 1_000,
      previousTerm: 3,
      entries: [{ index: 1_001, term: 3, kind: 'normal', data }],
      commit: 999,
    };
    expect(encodeBatch([append]).length).toBeLessThanOrEqual(data.length + 20);
  });

  it('reads random bytes without more than a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (random, isFramed) => {
        if (isFramed && random.length > 0) random[0] = 1;
        tryDecoding(random);
      }),
      { numRuns: 5_000 },
    );
  });

  it('reads flipped bits and cut ends without more than a refusal', () => {
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.nat(),
        (messages, bit, cut) => {
          const batch = Buffer.from(encodeBatch(messages));
          const end = cut % batch.length;
          const isWhole = end === 0 || [...frameEnds(batch)].includes(end);
          if (!isWhole) expect(tryDecoding(batch.subarray(0, end))).toBe('refused');
          batch[(bit >> 3) % batch.length]! ^= 1 << (bit & 7);
          tryDecoding(batch);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('makes nothing of a claimed length before it has seen the bytes', () => {
    // An append that claims 2^40 entries, and one entry that claims 2^40 bytes.
    const huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    expect(() => decodeMessage(Uint8Array.from([5, 1, 0, 0, 0, ...huge]), addresses)).toThrow(
      /longer than its bytes/,
    );
    expect(() => decodeMessage(Uint8Array.from([5, 1, 0, 0, 0, 1, 0, 1, ...huge]), addresses)).toThrow(
      /longer than its bytes/,
    );
  });

  it('refuses another format, an unknown kind, a counter beyond 2^53 and bytes that are left over', () => {
    expect(() => decoded(Uint8Array.from([2]))).toThrow(/format 2; this version reads 1/);
    expect(() => decodeMessage(Uint8Array.from([99, 1]), addresses)).toThrow(/no message of kind 99/);
    expect(() => decodeMessage(Uint8Array.from([13, ...Array<number>(8).fill(0xff)]), addresses)).toThrow(
      /2\^53/,
    );
    expect(() => decodeMessage(Uint8Array.from([13, 1, 0]), addresses)).toThrow(/follow the last field/);
  });

  it('does not read a snapshot message: only the member that checked the state may say that it is there', () => {
    expect(Object.keys(kindNumbers)).not.toContain('snapshot');
    expect(new Set(Object.values(kindNumbers)).size).toBe(Object.keys(kindNumbers).length);
  });

  it('keeps no view of the batch, and entries are views of one copy of their message', () => {
    const entry = (index: number): object => ({ index, term: 1, kind: 'normal', data: Buffer.from('abc') });
    const append = {
      kind: 'append',
      ...addresses,
      term: 1,
      previousIndex: 0,
      previousTerm: 0,
      entries: [entry(1), entry(2)],
      commit: 0,
    } as WireMessage;
    const batch = Buffer.from(encodeBatch([append]));
    const [read] = decoded(batch);
    batch.fill(0);
    if (read?.kind !== 'append') throw new Error('an append was sent');
    expect(read.entries.map(({ data }) => Buffer.from(data).toString())).toEqual(['abc', 'abc']);
    expect(read.entries[0]?.data.buffer).toBe(read.entries[1]?.data.buffer);
  });
});

/** Where the messages of a batch end. */
function* frameEnds(batch: Buffer): Generator<number> {
  yield 1;
  for (let at = 1; at + 4 <= batch.length;) {
    at += 4 + batch.readUInt32LE(at);
    yield at;
  }
}
