import { Buffer } from 'node:buffer';
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { assert } from '../engine/platform/assert.js';

/**
 * Writes encoded protobuf messages as JSON straight from their bytes, in protobuf's canonical mapping with declared
 * field names: no message objects in between. Measured on a RangeResponse of 20,000 keys with values of 256 bytes:
 * building the message and converting it keeps the event loop for 1.1 s, longer than an election timeout; this takes
 * 0.15 s, and `pieces` cuts that into slices.
 *
 * It reads what our own engine encoded: the fields of a message in the order of their numbers, each singular one once.
 */
export class JsonWriter {
  readonly #plan: MessagePlan;

  constructor(message: DescMessage) {
    this.#plan = planOf(message, new Map());
  }

  write(bytes: Uint8Array): string {
    const buffer = asBuffer(bytes);
    return writeMessage(this.#plan, buffer, 0, buffer.length);
  }

  /** The same text in pieces, one per field or element of the outermost message, so that a large one can be written in slices. */
  *pieces(bytes: Uint8Array): Generator<string, void> {
    const buffer = asBuffer(bytes);
    const reader = new WireReader(buffer, 0, buffer.length);
    const cursor = new FieldCursor();
    yield '{';
    while (!reader.isAtEnd) yield writeField(this.#plan, reader, cursor);
    yield `${cursor.close()}}`;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type FieldKind =
  | { readonly kind: 'message'; readonly plan: MessagePlan }
  | { readonly kind: 'enum'; readonly names: ReadonlyMap<number, string> }
  | { readonly kind: 'bytes' | 'string' | 'bool' | 'int64' | 'uint64' | 'int32' | 'uint32' };

interface FieldPlan {
  readonly value: FieldKind;
  /** `"name":` */
  readonly label: string;
  readonly isRepeated: boolean;
  /** Members of a oneof are written even when they have the default value. */
  readonly keepsDefault: boolean;
}

/** Fields by number. */
type MessagePlan = (FieldPlan | undefined)[];

function planOf(message: DescMessage, known: Map<string, MessagePlan>): MessagePlan {
  const existing = known.get(message.typeName);
  if (existing !== undefined) return existing;
  const plan: MessagePlan = [];
  known.set(message.typeName, plan);
  for (const field of message.fields) {
    plan[field.number] = {
      value: kindOf(field, known),
      label: `${JSON.stringify(field.name)}:`,
      isRepeated: field.fieldKind === 'list',
      keepsDefault: field.oneof !== undefined,
    };
  }
  return plan;
}

const scalarKinds: ReadonlyMap<ScalarType, FieldKind> = new Map([
  [ScalarType.BYTES, { kind: 'bytes' }],
  [ScalarType.STRING, { kind: 'string' }],
  [ScalarType.BOOL, { kind: 'bool' }],
  [ScalarType.INT64, { kind: 'int64' }],
  [ScalarType.UINT64, { kind: 'uint64' }],
  [ScalarType.INT32, { kind: 'int32' }],
  [ScalarType.UINT32, { kind: 'uint32' }],
] as const);

function kindOf(field: DescField, known: Map<string, MessagePlan>): FieldKind {
  if (field.message !== undefined) return { kind: 'message', plan: planOf(field.message, known) };
  if (field.enum !== undefined) {
    return {
      kind: 'enum',
      names: new Map(field.enum.values.map((value) => [value.number, JSON.stringify(value.name)])),
    };
  }
  const scalar = field.scalar === undefined ? undefined : scalarKinds.get(field.scalar);
  assert(scalar !== undefined, `the JSON of field ${field.toString()} is known`);
  return scalar;
}

/**
 * Where a writer stands between the fields of one message.
 *
 * Invariant: `#last` is the number of the field written last, 0 before the first; `#isListOpen` tells that it is a list.
 */
class FieldCursor {
  #last = 0;
  #isListOpen = false;

  /** The text before the value of a field. */
  open(number: number, field: FieldPlan): string {
    if (number === this.#last && this.#isListOpen) return ',';
    assert(number > this.#last, 'the fields of an encoded response ascend');
    const separator = this.#last === 0 ? '' : this.#isListOpen ? '],' : ',';
    this.#last = number;
    this.#isListOpen = field.isRepeated;
    return field.isRepeated ? `${separator}${field.label}[` : separator + field.label;
  }

  /** The text after the last value. */
  close(): string {
    return this.#isListOpen ? ']' : '';
  }
}

function writeMessage(plan: MessagePlan, buffer: Buffer, start: number, end: number): string {
  const reader = new WireReader(buffer, start, end);
  const cursor = new FieldCursor();
  let text = '{';
  while (!reader.isAtEnd) text += writeField(plan, reader, cursor);
  return `${text}${cursor.close()}}`;
}

/** Writes the field at the reader's position, or nothing for unknown fields and defaults. */
function writeField(plan: MessagePlan, reader: WireReader, cursor: FieldCursor): string {
  const tag = reader.smallVarint();
  const field = plan[tag >>> 3];
  if (field === undefined) {
    reader.skip(tag & 7);
    return '';
  }
  const isDelimited = (tag & 7) === 2;
  const isPacked = isDelimited && field.isRepeated && isNumeric(field.value.kind);
  if (!isPacked) return writeValue(tag >>> 3, field, reader, cursor);
  const end = reader.delimitedEnd();
  let text = '';
  while (reader.at < end) text += writeValue(tag >>> 3, field, reader, cursor);
  return text;
}

function isNumeric(kind: FieldKind['kind']): boolean {
  return kind !== 'message' && kind !== 'bytes' && kind !== 'string';
}

function writeValue(number: number, field: FieldPlan, reader: WireReader, cursor: FieldCursor): string {
  const value = valueText(field.value, reader);
  if (!field.isRepeated && !field.keepsDefault && value === defaultText(field.value)) return '';
  return cursor.open(number, field) + value;
}

/** What is left out of JSON because it is the value that an absent field has. */
function defaultText(value: FieldKind): string | undefined {
  switch (value.kind) {
    case 'message':
      return undefined;
    case 'bytes':
    case 'string':
      return '""';
    case 'bool':
      return 'false';
    case 'int64':
    case 'uint64':
      return '"0"';
    case 'int32':
    case 'uint32':
      return '0';
    case 'enum':
      return value.names.get(0);
  }
}

function valueText(value: FieldKind, reader: WireReader): string {
  switch (value.kind) {
    case 'message': {
      const end = reader.delimitedEnd();
      const text = writeMessage(value.plan, reader.buffer, reader.at, end);
      reader.at = end;
      return text;
    }
    case 'bytes':
      return `"${reader.text('base64')}"`;
    case 'string':
      return JSON.stringify(reader.text('utf8'));
    case 'bool':
      return reader.varint() === 0 ? 'false' : 'true';
    case 'int64':
      return `"${signed(reader.varint(), 64)}"`;
    case 'uint64':
      return `"${reader.varint()}"`;
    case 'int32':
      return String(signed(reader.varint(), 32));
    case 'uint32':
      return String(reader.varint());
    case 'enum': {
      const number = Number(signed(reader.varint(), 32));
      return value.names.get(number) ?? String(number);
    }
  }
}

/** Negative numbers are encoded as the 64-bit two's complement, which never is a small varint. */
function signed(varint: number | bigint, bits: number): number | bigint {
  return typeof varint === 'number' ? varint : BigInt.asIntN(bits, varint);
}

/** A position in an encoded message. Invariant: `at` never passes `end`. */
class WireReader {
  constructor(
    readonly buffer: Buffer,
    public at: number,
    private readonly end: number,
  ) {}

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** A tag or a length. */
  smallVarint(): number {
    const value = this.varint();
    assert(
      typeof value === 'number' && value <= 0xffff_ffff,
      'a tag or length of an encoded response fits 32 bits',
    );
    return value;
  }

  /** An unsigned number of at most 64 bits; a bigint when it needs more than 49. */
  varint(): number | bigint {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 7; count++) {
      assert(this.at < this.end, 'an encoded response is complete');
      const byte = this.buffer[this.at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    return this.#longVarint(BigInt(value));
  }

  #longVarint(low: bigint): bigint {
    let value = low;
    let byte = 0x80;
    for (let shift = 49n; byte >= 0x80; shift += 7n) {
      assert(shift < 70n && this.at < this.end, 'a varint of an encoded response has at most ten bytes');
      byte = this.buffer[this.at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
    }
    return BigInt.asUintN(64, value);
  }

  /** Reads a length; the value that follows ends at the result. */
  delimitedEnd(): number {
    const length = this.smallVarint();
    const end = this.at + length;
    assert(end <= this.end, 'a field of an encoded response ends within its message');
    return end;
  }

  text(encoding: 'base64' | 'utf8'): string {
    const end = this.delimitedEnd();
    const text = this.buffer.toString(encoding, this.at, end);
    this.at = end;
    return text;
  }

  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) this.at = this.delimitedEnd();
    else if (wireType === 5) this.at += 4;
    else assert(false, `wire type ${wireType} occurs in encoded responses`);
    assert(this.at <= this.end, 'a field of an encoded response ends within its message');
  }
}
