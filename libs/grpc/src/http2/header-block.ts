/** What a header block can serve as; `malformed` blocks break a rule of RFC 9113 section 8 and never reach the application. */
export type HeaderBlockKind = 'request' | 'response' | 'trailers' | 'malformed';

/**
 * A decoded and validated header block. It is immutable, and the same object may be handed out again for a later stream
 * whose block has the same octets; so a decision taken once can be kept in {@link annotation}.
 */
export class HeaderBlock {
  /** Free for the layer above, for example the route that belongs to this block. It must not depend on one stream. */
  annotation: unknown = undefined;

  /**
   * @param fields names and values in turn, in the order of arrival, as strings of octets (latin1). Names are lower case.
   * @param contentLength value of content-length, or -1 without one.
   * @param problem for a malformed block: which rule it breaks.
   */
  constructor(
    readonly kind: HeaderBlockKind,
    readonly fields: readonly string[],
    readonly contentLength: number,
    readonly problem: string | undefined,
  ) {}

  /** The value of the first field of this (lower-case) name; pseudo-header fields have their colon. */
  get(name: string): string | undefined {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
    return undefined;
  }

  /** The values of all fields of this (lower-case) name, in order. */
  getAll(name: string): string[] {
    const values: string[] = [];
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) {
      const value = fields[i + 1];
      if (fields[i] === name && value !== undefined) values.push(value);
    }
    return values;
  }
}
