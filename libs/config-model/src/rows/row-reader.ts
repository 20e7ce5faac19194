import { ConfigModelError } from '../error.js';
import { type ConfigTree, type ConfigValue, isTree } from '../value.js';

/** The format version that this program writes, and the newest that it reads, of every kind of row. */
export const rowVersion = 1;

/** Reads the fields of a row; every refusal names the row and the field. */
export class RowReader {
  private constructor(
    private readonly what: string,
    private readonly fields: ConfigTree,
  ) {}

  /**
   * @param what the row, for messages.
   * @throws ConfigModelError `newer-format` for a row of a newer version, `invalid-row` for anything else that is no row.
   */
  static open(text: string, what: string): RowReader {
    let value: ConfigValue;
    try {
      value = JSON.parse(text) as ConfigValue;
    } catch {
      throw new ConfigModelError('invalid-row', `${what}: is not JSON`);
    }
    if (!isTree(value)) throw new ConfigModelError('invalid-row', `${what}: is not a JSON object`);
    const reader = new RowReader(what, value);
    const version = value['version'];
    if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
      throw reader.wrong('version', 'a whole number from 1 on');
    }
    if (version > rowVersion) {
      throw new ConfigModelError(
        'newer-format',
        `${what}: has format version ${version}, this program reads up to ${rowVersion}; upgrade @conclave/client here before the config center writes that version`,
      );
    }
    return reader;
  }

  string(field: string): string {
    const value = this.fields[field];
    if (typeof value !== 'string') throw this.wrong(field, 'text');
    return value;
  }

  optionalString(field: string): string | undefined {
    return this.has(field) ? this.string(field) : undefined;
  }

  oneOf<T extends string>(field: string, allowed: readonly T[]): T {
    const value = this.fields[field];
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw this.wrong(field, `one of ${allowed.join(', ')}`);
    return found;
  }

  integer(field: string): number {
    const value = this.fields[field];
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.wrong(field, 'a whole number');
    return value;
  }

  /** 64-bit numbers are decimal text in rows. */
  bigint(field: string): bigint {
    const value = this.fields[field];
    if (typeof value !== 'string' || !/^(0|[1-9]\d{0,19})$/.test(value))
      throw this.wrong(field, 'a decimal number as text');
    return BigInt(value);
  }

  /** Absent is an empty list. */
  strings(field: string): readonly string[] {
    const value = this.fields[field] ?? [];
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) {
      throw this.wrong(field, 'a list of texts');
    }
    return value;
  }

  /** Absent is an empty object. */
  object(field: string): ConfigTree {
    const value = this.fields[field] ?? {};
    if (!isTree(value)) throw this.wrong(field, 'an object');
    return value;
  }

  has(field: string): boolean {
    return this.fields[field] !== undefined && this.fields[field] !== null;
  }

  wrong(field: string, expected: string): ConfigModelError {
    return new ConfigModelError('invalid-row', `${this.what}: the field '${field}' is not ${expected}`);
  }
}
