import { type Buffer } from 'node:buffer';
import { BlockWriter } from './block-writer.js';
import { checkFields, indexingOf } from './field-policy.js';
import { STATIC_BY_NAME } from './static-table.js';

/**
 * Header fields that are sent again and again, encoded once. The octets use the static table only and insert nothing, so
 * they mean the same on every connection at any time and can be copied as they are.
 */
export class PreparedHeaders {
  /** Names and values in turn. */
  readonly fields: readonly string[];
  readonly bytes: Buffer;

  /**
   * @param indexed a connection may instead put the fields into its dynamic table and send their indexes from then on:
   *        shorter on the wire and quicker for the receiver. Worth it for request headers that many streams share.
   * @throws RangeError when a field is not latin1, or a name has no value.
   */
  constructor(
    fields: readonly string[],
    readonly indexed = false,
  ) {
    checkFields(fields);
    this.fields = Object.freeze([...fields]);
    const writer = new BlockWriter();
    for (let i = 0; i < fields.length; i += 2) writeStatic(writer, fields[i], fields[i + 1]);
    this.bytes = writer.copy();
  }
}

function writeStatic(writer: BlockWriter, name: string, value: string): void {
  const known = STATIC_BY_NAME.get(name);
  const index = known?.values.get(value);
  if (index !== undefined) {
    writer.integer(0x80, 7, index);
    return;
  }
  writer.integer(indexingOf(name) === 'never' ? 0x10 : 0x00, 4, known?.index ?? 0);
  if (known === undefined) writer.string(name);
  writer.string(value);
}
