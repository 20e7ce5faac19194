import { fencingMigration, typeOrmFencingGate } from '@conclave/client';
import pg from 'pg';
import { DataSource, type DataSourceOptions, EntitySchema } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresPrograms, PostgresServer } from '../postgres-server.js';

interface Account {
  name: string;
  balance: number;
  /** A revision of the store, as text of twenty digits. */
  revision: string;
}

const accounts = new EntitySchema<Account>({
  name: 'account',
  columns: {
    name: { type: 'varchar', length: 40, primary: true },
    balance: { type: 'integer' },
    revision: { type: 'varchar', length: 20 },
  },
});

const kinds = ['sqljs', ...(postgresPrograms === undefined ? [] : ['postgres'])] as readonly (
  'sqljs' | 'postgres'
)[];
const fence = (token: bigint, clusterId = 0xcafen) => ({ token, clusterId });
const digits = (value: bigint): string => value.toString().padStart(20, '0');

describe.each(kinds)('fencing gate of TypeORM on %s', (kind) => {
  let server: PostgresServer | undefined;
  let source: DataSource;

  beforeAll(async () => {
    if (kind === 'postgres') server = await PostgresServer.start();
    const place: DataSourceOptions =
      kind === 'sqljs'
        ? { type: 'sqljs' }
        : { type: 'postgres', driver: pg, host: server!.folder, username: 'postgres' };
    const migrations = [fencingMigration(), fencingMigration({ table: 'other_fence' })];
    source = new DataSource({ ...place, entities: [accounts], migrations });
    await source.initialize();
    await source.runMigrations();
    await source.synchronize();
  });

  afterAll(async () => {
    await source?.destroy();
    await server?.end();
  });

  const opened = (name: string) =>
    source.manager.insert(accounts, { name, balance: 0, revision: digits(0n) });
  const balanceOf = async (name: string): Promise<number | undefined> =>
    (await source.manager.findOneBy(accounts, { name }))?.balance;

  it('P5 refuses the late write of a former holder, in the transaction of its entity manager', async () => {
    await opened('late');
    const gate = typeOrmFencingGate(source);
    const add = (token: bigint, amount: number) =>
      gate.run('late', fence(token), (manager) =>
        manager.increment(accounts, { name: 'late' }, 'balance', amount),
      );
    await add(5n, 1);
    await add(6n, 10);
    await expect(add(5n, 100)).rejects.toMatchObject({ code: 'fenced-off' });
    expect(await balanceOf('late')).toBe(11);
  });

  it('undoes entities and token together when the guarded function throws', async () => {
    await opened('undo');
    const gate = typeOrmFencingGate(source);
    const thrown = gate.run('undo', fence(9n), async (manager) => {
      await manager.update(accounts, { name: 'undo' }, { balance: 7 });
      throw new Error('mine');
    });
    await expect(thrown).rejects.toThrow('mine');
    expect(await balanceOf('undo')).toBe(0);
    expect(await gate.run('undo', fence(5n), () => Promise.resolve('in'))).toBe('in');
  });

  it('lets many holders in one after the other, and loses no update that it let through', async () => {
    await opened('many');
    const gates = [1, 2, 3, 4].map(() => typeOrmFencingGate(source));
    let [passed, inside, most] = [0, 0, 0];
    await Promise.all(
      gates.map(async (gate, at) => {
        for (let round = 0; round < 10; round += 1) {
          const writing = gate.run('many', fence(BigInt(round * 4 + at + 1)), async (manager) => {
            most = Math.max(most, (inside += 1));
            const { balance } = await manager.findOneByOrFail(accounts, { name: 'many' });
            await manager.update(accounts, { name: 'many' }, { balance: balance + 1 });
            inside -= 1;
          });
          await writing.then(
            () => (passed += 1),
            (error: unknown) => expect(error).toMatchObject({ code: 'fenced-off' }),
          );
        }
      }),
    );
    expect(most).toBe(1);
    expect(passed).toBeGreaterThanOrEqual(10);
    expect(await balanceOf('many')).toBe(passed);
  });

  it('P34 keeps revisions and tokens of 64 bits exactly, as text that sorts as the numbers do', async () => {
    const gate = typeOrmFencingGate(source);
    const tokens = [9n, 10n, 9_007_199_254_740_993n, 2n ** 63n - 2n, 2n ** 63n - 1n];
    for (const token of tokens) {
      await gate.run('exact', fence(token, 2n ** 64n - 1n), (manager) =>
        manager.insert(accounts, { name: `exact ${token}`, balance: 0, revision: digits(token) }),
      );
    }
    const stored = await source.manager
      .createQueryBuilder(accounts, 'account')
      .where("account.name LIKE 'exact %'")
      .orderBy('account.revision')
      .getMany();
    expect(stored.map(({ revision }) => BigInt(revision))).toEqual(tokens);
    const [row] = (await source.query("SELECT * FROM conclave_fence WHERE resource = 'exact'")) as object[];
    expect(row).toMatchObject({ cluster_id: digits(2n ** 64n - 1n), token: digits(2n ** 63n - 1n) });
    for (const token of tokens.slice(0, -1)) {
      const late = gate.run('exact', fence(token, 2n ** 64n - 1n), () => Promise.resolve());
      await expect(late).rejects.toMatchObject({ code: 'fenced-off' });
    }
  });

  it('keeps tables and clusters apart, until a cluster is adopted', async () => {
    const [one, other] = [typeOrmFencingGate(source), typeOrmFencingGate(source, { table: 'other_fence' })];
    const pass = (gate: typeof one, token: bigint, cluster?: bigint) =>
      gate.run('apart', fence(token, cluster), () => Promise.resolve('in'));
    await pass(one, 8n);
    expect(await pass(other, 3n)).toBe('in');
    await expect(pass(one, 9n, 1n)).rejects.toMatchObject({ code: 'fenced-off' });
    await one.adopt('apart', 1n);
    expect(await pass(one, 2n, 1n)).toBe('in');
  });

  it('makes and removes its table by a migration', async () => {
    await source.undoLastMigration();
    const gone = typeOrmFencingGate(source, { table: 'other_fence' });
    await expect(gone.run('r', fence(1n), () => Promise.resolve())).rejects.toThrow(/other_fence/);
    expect((await source.runMigrations()).map(({ name }) => name)).toEqual([
      'ConclaveFencingGate_other_fence_1763856000000',
    ]);
  });
});

describe('fencing gate of TypeORM', () => {
  it('refuses, where there is one connection, to wait for the transaction that it is in', async () => {
    const source = new DataSource({ type: 'sqljs', migrations: [fencingMigration()] });
    await source.initialize();
    await source.runMigrations();
    const gate = typeOrmFencingGate(source);
    const nested = gate.run('a', fence(1n), () => gate.run('b', fence(1n), () => Promise.resolve()));
    await expect(nested).rejects.toMatchObject({ code: 'deadlock' });
    expect(await gate.run('b', fence(1n), () => Promise.resolve('in'))).toBe('in');
    await source.destroy();
  });

  it('names the databases that it knows', () => {
    const source = { options: { type: 'mssql' } } as DataSource;
    expect(() => typeOrmFencingGate(source)).toThrow(/'mssql'.*postgres.*sqljs/);
  });
});
