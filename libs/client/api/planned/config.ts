/** Added to ConfigOptions. */
export interface ConfigOptionsToCome {
  /** 32 bytes per key id: decrypts values that the center encrypted for this app. */
  readonly secretKeys?: Readonly<Record<string, Uint8Array>>;
}
