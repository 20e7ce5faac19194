import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryBackend } from '../backend/memory-backend.js';
import { Lessor, minLeaseTtlSeconds } from './lessor.js';

const start = (): Lessor => Lessor.recover(new MemoryBackend());

describe('grant', () => {
  it('keeps the lease, under negative ids too', () => {
    const lessor = start();
    lessor.grant(7n, 60, 1);
    lessor.grant(-7n, 2, 1);
    expect(lessor.has(7n)).toBe(true);
    expect(lessor.get(-7n)).toEqual({ ttlSeconds: 2, checkpointSeconds: undefined });
    expect(lessor.size).toBe(2);
    expect(lessor.get(8n)).toBeUndefined();
  });

  it('refuses what etcd refuses', () => {
    const lessor = start();
    lessor.grant(7n, 60, 1);
    expect(() => lessor.grant(7n, 60, 1)).toThrow(expect.objectContaining({ reason: 'LeaseExist' }));
    expect(() => lessor.grant(8n, 9_000_000_001, 1)).toThrow(
      expect.objectContaining({ reason: 'LeaseTTLTooLarge' }),
    );
    lessor.grant(8n, 9_000_000_000, 1);
    expect(() => lessor.grant(0n, 60, 1)).toThrow(/never 0/);
  });

  it('needs a TTL of three halves of the election timeout', () => {
    expect(minLeaseTtlSeconds(1000)).toBe(2);
    expect(minLeaseTtlSeconds(5000)).toBe(8);
    expect(minLeaseTtlSeconds(100)).toBe(1);
  });
});

describe('revoke', () => {
  it('returns the attached keys in order and forgets lease and attachments', () => {
    const lessor = start();
    lessor.grant(7n, 60, 1);
    lessor.grant(8n, 60, 1);
    for (const key of ['b', 'a', '\xff', '']) lessor.attach(7n, key);
    lessor.attach(8n, 'other');
    lessor.attach(7n, 'moved');
    lessor.detach(7n, 'moved');
    expect(lessor.keysOf(7n)).toEqual(['', 'a', 'b', '\xff']);
    expect(lessor.attachments).toBe(5);
    expect(lessor.revoke(7n)).toEqual(['', 'a', 'b', '\xff']);
    lessor.detach(7n, 'a');
    expect(lessor.has(7n)).toBe(false);
    expect(lessor.keysOf(7n)).toEqual([]);
    expect(lessor.keysOf(8n)).toEqual(['other']);
    expect(() => lessor.revoke(7n)).toThrow(expect.objectContaining({ reason: 'LeaseNotFound' }));
  });

  it('works for the largest id, which no other row follows', () => {
    const lessor = start();
    lessor.grant(-1n, 60, 1);
    lessor.attach(-1n, 'a');
    expect(lessor.revoke(-1n)).toEqual(['a']);
  });

  it('attaches to existing leases only', () => {
    expect(() => start().attach(7n, 'a')).toThrow(/existing/);
  });
});

describe('recover', () => {
  it('finds leases, checkpoints and attachments again', () => {
    const backend = new MemoryBackend();
    const before = Lessor.recover(backend);
    before.grant(-5n, 600, 1);
    before.attach(-5n, 'k');
    before.checkpoint(-5n, 100);
    before.checkpoint(404n, 100);
    backend.setApplied({ index: 1, term: 1 });
    const after = Lessor.recover(backend.crash((candidates) => candidates.length - 1));
    expect(after.get(-5n)).toEqual({ ttlSeconds: 600, checkpointSeconds: 100 });
    expect(after.keysOf(-5n)).toEqual(['k']);
    after.promote(0, 0);
    expect(after.timeToLive(-5n, 0)).toEqual({ remainingSeconds: 100, grantedTtlSeconds: 600 });
    after.checkpoint(-5n, 0);
    expect(after.get(-5n)?.checkpointSeconds).toBeUndefined();
  });
});

describe('the clocks of a leader', () => {
  it('run from promotion, with the extension, and never early', () => {
    const lessor = start();
    lessor.grant(7n, 10, 1);
    expect(lessor.expired(1e12, 10)).toEqual([]);
    expect(lessor.nextExpiryMs).toBeUndefined();
    lessor.promote(1000, 500);
    expect(lessor.nextExpiryMs).toBe(11_500);
    expect(lessor.expired(11_499.9, 10)).toEqual([]);
    expect(lessor.timeToLive(7n, 11_499)).toEqual({ remainingSeconds: 0, grantedTtlSeconds: 10 });
    expect(lessor.timeToLive(7n, 2_500)).toEqual({ remainingSeconds: 9, grantedTtlSeconds: 10 });
    expect(lessor.expired(11_500, 10)).toEqual([7n]);
    expect(lessor.counts.expired).toBe(1);
  });

  it('of a lease granted while leading start with the next known time', () => {
    const lessor = start();
    lessor.promote(0, 0);
    lessor.grant(7n, 10, 1);
    lessor.grant(8n, 10, 1);
    lessor.revoke(8n);
    expect(lessor.expired(400, 10)).toEqual([]);
    expect(lessor.nextExpiryMs).toBe(10_400);
    expect(lessor.expired(20_000, 10)).toEqual([7n]);
  });

  it('start anew when the lease is renewed, and never end sooner for it', () => {
    const lessor = start();
    lessor.grant(7n, 10, 1);
    lessor.promote(0, 5_000);
    expect(lessor.renew(7n, 1_000)).toBe(10);
    expect(lessor.nextExpiryMs).toBe(15_000);
    expect(lessor.renew(7n, 9_000)).toBe(10);
    expect(lessor.expired(18_999, 10)).toEqual([]);
    expect(lessor.renew(7n, 19_000)).toBe('expired');
    expect(lessor.expired(19_000, 10)).toEqual([7n]);
    expect(lessor.renew(7n, 19_001)).toBe('expired');
    lessor.revoke(7n);
    expect(lessor.renew(7n, 19_002)).toBeUndefined();
    expect(lessor.counts).toEqual({ granted: 1, revoked: 1, renewed: 2, expired: 1 });
  });

  it('hand an expired lease out again after the retry interval', () => {
    const lessor = Lessor.recover(new MemoryBackend(), { revokeRetryMs: 3_000 });
    lessor.grant(7n, 2, 1);
    lessor.promote(0, 0);
    expect(lessor.expired(2_000, 10)).toEqual([7n]);
    expect(lessor.expired(4_999, 10)).toEqual([]);
    expect(lessor.expired(5_000, 10)).toEqual([7n]);
    expect(lessor.counts.expired).toBe(1);
  });

  it('hand out a lease whose revoke came to nothing with the next ones, but never early', () => {
    const lessor = Lessor.recover(new MemoryBackend(), { revokeRetryMs: 3_000 });
    lessor.grant(7n, 2, 1);
    lessor.promote(0, 0);
    expect(lessor.expired(2_000, 10)).toEqual([7n]);
    lessor.notRevoked(7n, 2_100);
    expect(lessor.expired(2_500, 10)).toEqual([7n]);
    // The next leader begins anew, whatever comes of proposals of before.
    lessor.demote();
    lessor.notRevoked(7n, 2_600);
    lessor.promote(2_700, 0);
    lessor.notRevoked(7n, 2_800);
    expect(lessor.expired(4_699, 10)).toEqual([]);
    expect(lessor.expired(4_700, 10)).toEqual([7n]);
    lessor.revoke(7n);
    lessor.notRevoked(7n, 5_000);
    expect(lessor.expired(10_000, 10)).toEqual([]);
  });

  it('hand out the earliest first, as many as asked for', () => {
    const lessor = start();
    for (const [id, ttl] of [
      [3n, 30],
      [1n, 10],
      [2n, 20],
    ] as const)
      lessor.grant(id, ttl, 1);
    lessor.promote(0, 0);
    expect(lessor.leases()).toEqual([1n, 2n, 3n]);
    expect(lessor.expired(60_000, 2)).toEqual([1n, 2n]);
    expect(lessor.expired(60_000, 2)).toEqual([3n]);
  });

  it('stop when another leads, and start anew later', () => {
    const lessor = start();
    lessor.grant(7n, 10, 1);
    lessor.promote(0, 0);
    lessor.demote();
    expect(lessor.expired(1e9, 10)).toEqual([]);
    expect(() => lessor.renew(7n, 0)).toThrow(/only a leader/);
    expect(lessor.timeToLive(7n, 0)).toEqual({ remainingSeconds: 10, grantedTtlSeconds: 10 });
    lessor.promote(1e9, 0);
    expect(lessor.nextExpiryMs).toBe(1e9 + 10_000);
  });

  it('are spread after a promotion so that no second sees more expiries than the limit', () => {
    const lessor = Lessor.recover(new MemoryBackend(), { expiriesPerSecondMax: 100 });
    for (let id = 1n; id <= 1000n; id++) lessor.grant(id, 10, 1);
    lessor.promote(0, 0);
    const seen: bigint[] = [];
    for (let second = 10; second < 20; second++) {
      const now = lessor.expired(second * 1000, 10_000);
      expect(now).toHaveLength(100);
      for (const id of now) lessor.revoke(id);
      seen.push(...now);
    }
    expect(new Set(seen).size).toBe(1000);
  });

  it('tell when checkpoints of long leases are due, and cancel those of renewed ones', () => {
    const lessor = Lessor.recover(new MemoryBackend(), { checkpointIntervalSeconds: 300 });
    lessor.grant(1n, 300, 1);
    lessor.grant(2n, 3600, 1);
    lessor.promote(0, 0);
    expect(lessor.dueCheckpoints(299_999, 10)).toEqual([]);
    expect(lessor.dueCheckpoints(300_000, 10)).toEqual([{ id: 2n, remainingSeconds: 3300 }]);
    expect(lessor.dueCheckpoints(300_001, 10)).toEqual([]);
    lessor.renew(2n, 600_000);
    expect(lessor.dueCheckpoints(600_000, 10)).toEqual([{ id: 2n, remainingSeconds: 0 }]);
  });
});

/** What a lease is, without a heap, a queue or a backend. */
interface PlainLease {
  readonly ttl: number;
  expiresAt: number;
  handedOutAt: number;
  readonly keys: Set<string>;
}

const action = fc.record({
  kind: fc.constantFrom(
    'grant',
    'revoke',
    'attach',
    'detach',
    'renew',
    'expire',
    'expire',
    'promote',
    'demote',
  ),
  id: fc.bigInt(-4n, 4n).filter((id) => id !== 0n),
  ttl: fc.integer({ min: 1, max: 20 }),
  key: fc.constantFrom('a', 'b', 'c'),
  elapsedMs: fc.nat(6_000),
});

it('does what plain maps do, over any history', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
      const lessor = Lessor.recover(new MemoryBackend(), { revokeRetryMs: 3_000 });
      const plain = new Map<bigint, PlainLease>();
      let now = 0;
      let isLeading = false;
      for (const { kind, id, ttl, key, elapsedMs } of actions) {
        now += elapsedMs;
        const lease = plain.get(id);
        if (kind === 'grant' && lease === undefined) {
          lessor.grant(id, ttl, 1);
          plain.set(id, { ttl, expiresAt: now + ttl * 1000, handedOutAt: -Infinity, keys: new Set() });
          if (isLeading) lessor.timeToLive(id, now);
        } else if (kind === 'revoke' && lease !== undefined) {
          expect(lessor.revoke(id)).toEqual([...lease.keys].sort());
          plain.delete(id);
        } else if (kind === 'attach' && lease !== undefined) {
          lessor.attach(id, key);
          lease.keys.add(key);
        } else if (kind === 'detach') {
          lessor.detach(id, key);
          lease?.keys.delete(key);
        } else if (kind === 'renew' && isLeading) {
          const isOver = lease !== undefined && lease.expiresAt <= now;
          expect(lessor.renew(id, now)).toBe(isOver ? 'expired' : lease?.ttl);
          if (lease !== undefined && !isOver)
            lease.expiresAt = Math.max(lease.expiresAt, now + lease.ttl * 1000);
        } else if (kind === 'expire') {
          const due = [...plain].filter(
            ([, each]) => each.expiresAt <= now && each.handedOutAt + 3_000 <= now,
          );
          expect([...lessor.expired(now, 100)].sort()).toEqual(
            isLeading ? due.map(([each]) => each).sort() : [],
          );
          if (isLeading) for (const [, each] of due) each.handedOutAt = now;
        } else if (kind === 'promote') {
          lessor.promote(now, 1000);
          isLeading = true;
          for (const each of plain.values()) {
            each.expiresAt = now + each.ttl * 1000 + 1000;
            each.handedOutAt = -Infinity;
          }
        } else if (kind === 'demote') {
          lessor.demote();
          isLeading = false;
        }
        expect(lessor.size).toBe(plain.size);
      }
      for (const [id, lease] of plain) expect(lessor.keysOf(id)).toEqual([...lease.keys].sort());
    }),
    { numRuns: 300 },
  );
});
