/** A figure of ours alone, with the most that it may be. */
export interface Limit {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Undefined for figures that are shown for information. */
  readonly atMost: number | undefined;
  readonly note: string;
}
