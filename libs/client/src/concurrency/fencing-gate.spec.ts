import { describe, expect, it } from 'vitest';
import { FencedOffError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { memoryFencingGate } from './fencing-gate.js';
import { fencingTableSql, sqlFencingGate, type SqlTransaction } from './sql-fencing-gate.js';

const fence = (token: bigint, clusterId = 1n) => ({ token, clusterId });

describe('memory fencing gate', () => {
  it('P5 refuses the write of a holder that paused between its check and its write', async () => {
    const world = new FakeWorld();
    const gate = memoryFencingGate();
    const written: string[] = [];
    const first = await world.client().locks.mutex('m', { ttl: '3s' }).acquire();
    first.assertHeld();
    const paused = first.fence();
    // The process stands still here, longer than its lease lives.
    world.store.expireLease(first.leaseId);
    const second = await world.client().locks.mutex('m').acquire();
    await gate.run('invoices', second.fence(), () => Promise.resolve(written.push('second')));
    const late = gate.run('invoices', paused, () => Promise.resolve(written.push('first')));
    await expect(late).rejects.toBeInstanceOf(FencedOffError);
    expect(written).toEqual(['second']);
  });

  it('P23 refuses work that was sent by a former leader and arrives when another one leads', async () => {
    const world = new FakeWorld();
    const gate = memoryFencingGate();
    const first = await world.client().elections.election('e').campaign();
    const job = { ...first.fence(), body: 'sent in time, handled late' };
    await first.resign();
    const second = await world.client().elections.election('e').campaign();
    await gate.run('ledger', second.fence(), () => Promise.resolve());
    await expect(gate.run('ledger', job, () => Promise.resolve())).rejects.toMatchObject({
      code: 'fenced-off',
    });
  });

  it('lets the same and later tokens through, one function at a time, and keeps resources apart', async () => {
    const gate = memoryFencingGate();
    let end = (): void => undefined;
    const order: string[] = [];
    const first = gate.run('r', fence(5n), async () => {
      order.push('5 begins');
      await new Promise<void>((resolve) => (end = resolve));
      order.push('5 ends');
    });
    const second = gate.run('r', fence(6n), () => Promise.resolve(order.push('6')));
    await gate.run('other', fence(1n), () => Promise.resolve());
    expect(order).toEqual(['5 begins']);
    end();
    await Promise.all([first, second]);
    expect(order).toEqual(['5 begins', '5 ends', '6']);
    await gate.run('r', fence(6n), () => Promise.resolve());
    await expect(gate.run('r', fence(5n), () => Promise.resolve())).rejects.toMatchObject({
      code: 'fenced-off',
    });
  });

  it('passes on what the function throws, and lets the next one in', async () => {
    const gate = memoryFencingGate();
    await expect(gate.run('r', fence(5n), () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(await gate.run('r', fence(5n), () => Promise.resolve('in'))).toBe('in');
  });

  it('refuses the tokens of another store until it is adopted, which forgets the highest one', async () => {
    const gate = memoryFencingGate();
    await gate.run('r', fence(900n), () => Promise.resolve());
    const other = (): Promise<string> => gate.run('r', fence(3n, 2n), () => Promise.resolve('in'));
    await expect(other()).rejects.toThrow(/cluster 1.*gate\.adopt\(\)/);
    await gate.adopt('r', 2n);
    expect(await other()).toBe('in');
    // Adopting what is adopted forgets nothing.
    await gate.adopt('r', 2n);
    await expect(gate.run('r', fence(2n, 2n), () => Promise.resolve())).rejects.toMatchObject({
      code: 'fenced-off',
    });
  });
});

describe('SQL fencing gate: statements', () => {
  const recorded = async (dialect: 'postgres' | 'sqlite' | 'mysql'): Promise<string[]> => {
    const statements: string[] = [];
    const transaction: SqlTransaction = {
      query: (sql, parameters) => {
        statements.push(`${sql} [${parameters.join(' ')}]`);
        const token = '00000000000000000007';
        return Promise.resolve({ rows: [{ cluster_id: '00000000000000000001', token }] });
      },
    };
    const gate = sqlFencingGate({ dialect, transaction: (fn) => fn(transaction) });
    await gate.run('r', fence(7n), () => Promise.resolve());
    return statements;
  };

  it('speaks the dialect of postgres', async () => {
    expect(await recorded('postgres')).toEqual([
      'INSERT INTO conclave_fence (resource, cluster_id, token) VALUES ($1, $2, $3) ON CONFLICT (resource) DO NOTHING [r 00000000000000000001 00000000000000000007]',
      'UPDATE conclave_fence SET token = $1 WHERE resource = $2 AND cluster_id = $3 AND token <= $4 [00000000000000000007 r 00000000000000000001 00000000000000000007]',
      'SELECT cluster_id, token FROM conclave_fence WHERE resource = $1 FOR UPDATE [r]',
    ]);
  });

  it('speaks the dialects of sqlite and mysql', async () => {
    const [sqlite, mysql] = [await recorded('sqlite'), await recorded('mysql')];
    expect(sqlite[0]).toMatch(/^INSERT OR IGNORE INTO conclave_fence .* VALUES \(\?, \?, \?\) /);
    expect(mysql[0]).toMatch(/^INSERT IGNORE INTO conclave_fence /);
    expect(sqlite[2]).toMatch(/WHERE resource = \? \[r\]$/);
    expect(mysql[2]).toMatch(/WHERE resource = \? FOR UPDATE \[r\]$/);
  });

  it('refuses a table that is no plain name, and a row that is not its own', async () => {
    const nothing = { query: () => Promise.resolve({ rows: [] }) };
    expect(() =>
      sqlFencingGate({ dialect: 'sqlite', table: 'a; DROP TABLE b', transaction: (fn) => fn(nothing) }),
    ).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => fencingTableSql('postgres', 'x y')).toThrow();
    expect(fencingTableSql('mysql', 'app.fence')).toMatch(
      /^CREATE TABLE IF NOT EXISTS app\.fence \(resource /,
    );
    const gate = sqlFencingGate({ dialect: 'sqlite', transaction: (fn) => fn(nothing) });
    const ran = outcomeOf(gate.run('r', fence(1n), () => Promise.resolve()));
    await Promise.resolve();
    await new FakeWorld().clock.settle();
    expect(ran.error?.message).toMatch(/fencingTableSql/);
  });
});
