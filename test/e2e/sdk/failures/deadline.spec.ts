import { firstValueFrom } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Fixture } from '../../client/fixture.js';
import { targets } from '../../client/targets.js';
import { Belief } from './belief.js';
import { ClientLine } from '../../../robustness/mutual-exclusion/client-line.js';
import { ms, seen } from './failure-table.js';
import { HolderProcess } from './holder-process.js';
import { KeyWitness } from './key-witness.js';
import { monotonicMs } from '../../../robustness/mutual-exclusion/monotonic.js';

const full = process.env['CONCLAVE_FULL'] === '1';
/** Each of these lasts as long as a lease. */
const servers = full ? targets : targets.filter((kind) => kind === 'conclave');
const ttlMs = 2_000;

describe.each(servers)('a holder that can say nothing to %s', (kind) => {
  const started: { stop(): unknown }[] = [];
  let fixture: Fixture;
  let named = 0;
  const freshName = (): string => `m${(named += 1)}`;

  beforeAll(async () => {
    fixture = await Fixture.start(kind);
  });
  afterEach(async () => {
    for (const item of started.splice(0).reverse()) await item.stop();
  });
  afterAll(() => fixture.end());

  const witnessOf = (key: string): KeyWitness => {
    const witness = new KeyWitness(fixture.client({ requestTimeout: '30s' }), key);
    started.push(witness);
    return witness;
  };

  it('stops believing while the server is frozen, before it can give the lock away', async () => {
    const handle = await fixture.client().locks.mutex(freshName(), { ttl: ttlMs }).acquire();
    const belief = new Belief(handle);
    const { pid } = fixture.member;
    process.kill(pid, 'SIGSTOP');
    let thawedAt = 0;
    try {
      expect(await belief.lost).toBe('lease-expired-local');
    } finally {
      thawedAt = monotonicMs();
      process.kill(pid, 'SIGCONT');
    }
    const goneAt = await witnessOf(handle.key).goneAt;
    // A frozen server deletes nothing, so the key was there until it went on.
    expect(belief.until).toBeLessThan(thawedAt);
    expect(belief.kinds).toEqual(['held', 'suspect', 'lost']);
    seen(
      'server frozen',
      kind,
      'held, suspect, lost: lease-expired-local; the key went after that',
      `by ${ms(goneAt - belief.until)}`,
    );
  });

  it.each(['toServer', 'toClient'] as const)(
    'stops believing when one direction is cut (%s), before the key goes',
    async (direction) => {
      const line = await ClientLine.to(fixture.member.clientPort);
      started.push(line);
      const client = fixture.client({ endpoints: [line.url], onWarning: () => undefined });
      const handle = await client.locks.mutex(freshName(), { ttl: ttlMs }).acquire();
      const belief = new Belief(handle);
      const witness = witnessOf(handle.key);
      line[direction].condition = { kind: 'lost' };
      expect(await belief.lost).toBe('lease-expired-local');
      const goneAt = await witness.goneAt;
      expect(belief.until).toBeLessThan(witness.presentAt);
      expect(belief.kinds).toEqual(['held', 'suspect', 'lost']);
      seen(
        direction === 'toServer' ? 'way to the server cut' : 'way back cut',
        kind,
        'held, suspect, lost: lease-expired-local; the key went after that',
        `by ${ms(goneAt - belief.until)}`,
      );
    },
  );

  it('does not believe any more when the process goes on after it was frozen for longer than the TTL', async () => {
    const name = freshName();
    const holder = await HolderProcess.start(fixture.member.url, name, `${ttlMs}ms`);
    started.push(holder);
    const { key = '' } = await holder.report('acquired');
    const witness = witnessOf(key);
    holder.signal('SIGSTOP');
    const next = await fixture.client().locks.mutex(name).acquire();
    const goneAt = await witness.goneAt;
    holder.look();
    holder.signal('SIGCONT');
    const looked = await holder.report('looked');
    expect(looked).toMatchObject({ isHeld: false, guarded: 'lock-lost' });
    expect(holder.deadline).toBeLessThan(witness.presentAt);
    expect(next.isHeld()).toBe(true);
    seen(
      'client frozen',
      kind,
      'the deadline passed before the key went; at the first look not held, a guarded transaction refused',
      `by ${ms(goneAt - holder.deadline)}`,
    );
  });

  it('knows by the clock after a computation of twice the TTL, in the same turn of the event loop', async () => {
    const name = freshName();
    const holder = await HolderProcess.start(fixture.member.url, name, `${ttlMs}ms`);
    started.push(holder);
    const { key = '' } = await holder.report('acquired');
    const witness = witnessOf(key);
    holder.look(2 * ttlMs);
    const next = await fixture.client().locks.mutex(name).acquire();
    const nextAt = monotonicMs();
    const looked = await holder.report('looked');
    expect(looked).toMatchObject({ wasAborted: false, isHeld: false, guarded: 'lock-lost' });
    await witness.goneAt;
    expect(holder.deadline).toBeLessThan(witness.presentAt);
    // It looked after somebody else had the lock: nothing but its clock could tell it.
    expect(nextAt).toBeLessThan(looked.at);
    expect(next.isHeld()).toBe(true);
    seen(
      'event loop stalls',
      kind,
      'not held by the clock, although no timer had fired yet; a guarded transaction refused',
      `${ms(looked.at - holder.deadline)} after the deadline`,
    );
  });

  it('says the error of the function when the release cannot be sent, and leaves the rest to the TTL', async () => {
    const line = await ClientLine.to(fixture.member.clientPort);
    started.push(line);
    const client = fixture.client({ endpoints: [line.url], onWarning: () => undefined });
    const name = freshName();
    let witness: KeyWitness | undefined;
    let belief: Belief | undefined;
    const running = client.locks.mutex(name, { ttl: ttlMs }).run((handle) => {
      witness = witnessOf(handle.key);
      belief = new Belief(handle);
      line.condition = { kind: 'lost' };
      return Promise.reject(new Error('of the function'));
    });
    await expect(running).rejects.toThrow('of the function');
    const endedAt = monotonicMs();
    const goneAt = (await witness?.goneAt) ?? 0;
    expect(belief?.until).toBeLessThan(witness?.presentAt ?? 0);
    const next = await fixture.client().locks.mutex(name).acquire();
    expect(next.isHeld()).toBe(true);
    seen(
      'release fails',
      kind,
      'run rejected with the error of the function; the key went with its lease',
      `${ms(goneAt - endedAt)} after run had ended`,
    );
  });

  it('repeats a release until it gets through', async () => {
    const line = await ClientLine.to(fixture.member.clientPort);
    started.push(line);
    const client = fixture.client({ endpoints: [line.url], requestTimeout: '30s' });
    const handle = await client.locks.mutex(freshName(), { ttl: '30s' }).acquire();
    const witness = witnessOf(handle.key);
    line.toClient.condition = { kind: 'lost' };
    const releasing = handle.release();
    // The key is deleted, and the answer gets lost: the second attempt finds it done.
    await witness.goneAt;
    line.reset();
    line.condition = { kind: 'open' };
    await releasing;
    expect((await firstValueFrom(client.connection$)).kind).toBe('connected');
    seen('answer to a release lost', kind, 'release repeated on the next connection; the key went at once');
  });
});
