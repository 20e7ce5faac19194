import { Buffer } from 'node:buffer';
import { type HeaderBlock } from '../http2/header-block.js';

/** A value of metadata: text for ordinary names, bytes for names that end with `-bin`. */
export type MetadataValue = string | Uint8Array;

/** Metadata to send. Names are lower case; a list stands for several fields of the same name. */
export type MetadataEntries = Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;

const nameFormat = /^[0-9a-z_.-]+$/;
/** ASCII-Value of the gRPC specification: printable ASCII and spaces. */
const valueFormat = /^[ -~]*$/;

/** Names that carry the protocol itself and cannot be used for metadata. */
const reservedNames: ReadonlySet<string> = new Set([
  'content-type',
  'te',
  'user-agent',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
]);

function isReserved(name: string): boolean {
  return name.startsWith('grpc-') || name.startsWith(':') || reservedNames.has(name);
}

/**
 * Appends metadata to header fields (names and values in turn). Binary values are written in base64 without padding,
 * as the specification asks of senders.
 *
 * @throws TypeError when a name is malformed or reserved, a text has characters other than printable ASCII, or the kind
 *         of a value does not fit its name.
 */
export function appendMetadata(fields: string[], entries: MetadataEntries): void {
  for (const name of Object.keys(entries)) {
    if (!nameFormat.test(name))
      throw new TypeError(`metadata name ${JSON.stringify(name)} is malformed: use a-z 0-9 _ . -`);
    if (isReserved(name)) throw new TypeError(`metadata name ${name} is reserved for the protocol`);
    const value = entries[name] as MetadataValue | readonly MetadataValue[];
    if (typeof value === 'string' || value instanceof Uint8Array) fields.push(name, encodeValue(name, value));
    else for (const one of value) fields.push(name, encodeValue(name, one));
  }
}

function encodeValue(name: string, value: MetadataValue): string {
  if (name.endsWith('-bin')) {
    if (typeof value === 'string')
      throw new TypeError(`metadata ${name} takes bytes: its name ends with -bin`);
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      .toString('base64')
      .replace(/=+$/, '');
  }
  if (typeof value !== 'string')
    throw new TypeError(`metadata ${name} takes text: its name does not end with -bin`);
  if (!valueFormat.test(value))
    throw new TypeError(`metadata ${name} has a character that is no printable ASCII`);
  return value.trim();
}

/** Metadata that arrived: a view of a header block that decodes what is asked for. */
export class IncomingMetadata {
  constructor(private readonly block: HeaderBlock) {}

  /** The first value of an ordinary name; undefined when there is none. */
  get(name: string): string | undefined {
    return this.block.get(name);
  }

  /** All values of an ordinary name, in order. */
  getAll(name: string): string[] {
    return this.block.getAll(name);
  }

  /** The first value of a name that ends with `-bin`; undefined when there is none. */
  getBinary(name: string): Uint8Array | undefined {
    return this.getAllBinary(name)[0];
  }

  /**
   * All values of a name that ends with `-bin`, in order. Intermediaries may join several values with commas, and
   * senders may pad the base64 or not; both are read.
   */
  getAllBinary(name: string): Uint8Array[] {
    return this.block
      .getAll(name)
      .flatMap((field) => field.split(','))
      .map((value) => Buffer.from(value.trim(), 'base64'));
  }

  /** All application metadata: names and values as sent (binary ones in base64), without the protocol's own fields. */
  *entries(): IterableIterator<[name: string, value: string]> {
    const fields = this.block.fields;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const name = fields[i] as string;
      if (!isReserved(name)) yield [name, fields[i + 1] as string];
    }
  }
}
