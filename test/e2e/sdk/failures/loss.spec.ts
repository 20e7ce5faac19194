import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Fixture } from '../../client/fixture.js';
import { targets } from '../../client/targets.js';
import { Belief } from './belief.js';
import { ms, seen } from './failure-table.js';
import { monotonicMs } from '../../../robustness/mutual-exclusion/monotonic.js';

/** The next keep-alive is a third of it away: too far to be what tells. */
const ttlMs = 60_000;

describe.each(targets)('a holder from which %s takes the lock away', (kind) => {
  let fixture: Fixture | undefined;
  afterEach(() => fixture?.end());

  async function held() {
    fixture = await Fixture.start(kind);
    const handle = await fixture.client().locks.mutex('m', { ttl: ttlMs }).acquire();
    return { fixture, handle, belief: new Belief(handle) };
  }

  it('is told when somebody revokes its lease, by the watch on its own key', async () => {
    const { fixture, handle, belief } = await held();
    const revokedAt = monotonicMs();
    await fixture.client().leases.revoke(handle.leaseId);
    // The keep-alive of the acquisition may be under way just then, and tells the same.
    expect(['key-deleted', 'revoked']).toContain(await belief.lost);
    expect(belief.toldAt - revokedAt).toBeLessThan(ttlMs / 3);
    await expect(handle.guardTxn((txn) => txn)).rejects.toMatchObject({ code: 'lock-lost' });
    const text = 'lost at once, not at the next keep-alive; a guarded transaction refused';
    seen('lease revoked', kind, text, `${ms(belief.toldAt - revokedAt)} after the request`);
  });

  it('is told when somebody deletes its key, and deletes nobody else’s when it releases', async () => {
    const { fixture, handle, belief } = await held();
    const other = fixture.client();
    const waiting = other.locks.mutex('m').acquire();
    const deletedAt = monotonicMs();
    await other.kv.delete(handle.key);
    expect(await belief.lost).toBe('key-deleted');
    expect(belief.toldAt - deletedAt).toBeLessThan(ttlMs / 3);
    const next = await waiting;
    await handle.release();
    await next.verify();
    const text = 'lost: key-deleted, at once; the next one has the lock, and keeps it over the late release';
    seen('key deleted by hand', kind, text, `${ms(belief.toldAt - deletedAt)} after the request`);
  });

  it('is told when the store was replaced, also by one with the same addresses and name', async () => {
    const { fixture, handle, belief } = await held();
    const { member } = fixture;
    for (let step = 0; step < 20; step += 1) await fixture.client().kv.put('x', String(step));
    await member.stop('SIGKILL');
    rmSync(member.dataDirectory, { recursive: true, force: true });
    await member.start();
    // Two witnesses again: a lower revision, and a keep-alive of a lease that the new store does not know.
    expect(['store-replaced', 'revoked']).toContain(await belief.lost);
    expect(handle.isHeld()).toBe(false);
    const next = await fixture.client().locks.mutex('m').acquire();
    const isSame = next.fence().clusterId === handle.fence().clusterId;
    const text = `lost as soon as it is connected; the new store has ${isSame ? 'the same cluster id and a lower revision' : 'another cluster id'}`;
    seen('store wiped', kind, text);
  });
});
