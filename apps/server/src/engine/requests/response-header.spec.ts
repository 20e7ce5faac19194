import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { ResponseHeader } from './response-header.js';

describe('ResponseHeader', () => {
  it('writes the header that the generated codec reads, for any revision', () => {
    let term = 1;
    const header = new ResponseHeader(2n ** 64n - 1n, 17n, () => term);
    for (const revision of [1, 127, 128, 300, 2 ** 31, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER]) {
      term++;
      const bytes = header.response(revision, Buffer.from('1001', 'hex'));
      expect(etcdserverpb.DeleteRangeResponse.decode(bytes)).toEqual(
        etcdserverpb.DeleteRangeResponse.fromPartial({
          header: {
            cluster_id: 2n ** 64n - 1n,
            member_id: 17n,
            revision: BigInt(revision),
            raft_term: BigInt(term),
          },
          deleted: 1n,
        }),
      );
    }
  });

  it('leaves out a revision of 0', () => {
    const bytes = new ResponseHeader(1n, 2n, () => 3).response(0, new Uint8Array());
    expect(bytes.toString('hex')).toBe('0a06' + '0801' + '1002' + '2003');
  });
});
