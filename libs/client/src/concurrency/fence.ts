/** The create revision of the owner's key: of two owners of one name, the later one has the higher token. */
export type FencingToken = bigint & { readonly __brand?: 'FencingToken' };

/** What a protected resource must know about the one who wants to write. Tokens of different stores do not compare. */
export interface Fence {
  readonly clusterId: bigint;
  readonly token: FencingToken;
}
