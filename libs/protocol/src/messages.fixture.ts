import fc from 'fast-check';

export const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
export const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: 0n, max: 300n }),
  fc.constantFrom(2n ** 49n - 1n, 2n ** 49n, 2n ** 53n, 2n ** 63n - 1n, -1n),
);
export const keyValue = fc.record({
  key: bytes(60),
  create_revision: int64,
  mod_revision: int64,
  version: int64,
  value: bytes(200),
  lease: int64,
});
export const header = fc.record({
  cluster_id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  member_id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  revision: int64,
  raft_term: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});
