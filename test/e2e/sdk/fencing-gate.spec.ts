import { fencingTableSql, sqlFencingGate } from '@conclave/client';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram } from '../../members/member-process.js';
import { postgresPrograms, PostgresServer } from './postgres-server.js';
import { SqlShell } from './sql-shell.js';

type Dialect = 'sqlite' | 'postgres';

const dialects: Dialect[] = [];
if (hasProgram('sqlite3')) dialects.push('sqlite');
if (postgresPrograms !== undefined && hasProgram('psql')) dialects.push('postgres');

const fence = (token: bigint, clusterId = 0xcafen) => ({ token, clusterId });

describe.each(dialects)('fencing gate in %s', (dialect) => {
  const connections: SqlShell[] = [];
  let database = '';
  let server: PostgresServer | undefined;

  beforeAll(async () => {
    if (dialect === 'postgres') {
      server = await PostgresServer.start();
      database = server.folder;
    } else {
      database = join(mkdtempSync(join(tmpdir(), 'fence-')), 'test.db');
    }
    const connection = connect();
    await connection.run(fencingTableSql(dialect));
    await connection.run(fencingTableSql(dialect));
    await connection.run('CREATE TABLE account (name varchar(20) PRIMARY KEY, balance integer NOT NULL)');
  });

  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.end()));
    await server?.end();
    if (dialect === 'sqlite') rmSync(join(database, '..'), { recursive: true, force: true });
  });

  function connect(): SqlShell {
    const connection = new SqlShell(dialect, database);
    connections.push(connection);
    return connection;
  }

  function gateOf(connection: SqlShell) {
    return sqlFencingGate<SqlShell>({ dialect, transaction: (fn) => connection.transaction(fn) });
  }

  const opened = async (name: string): Promise<void> => {
    await connections[0]?.query('INSERT INTO account VALUES (?, 0)', [name]);
  };
  const add = (name: string, amount: number) => (tx: SqlShell) =>
    tx.query(`UPDATE account SET balance = balance + ${amount} WHERE name = ?`, [name]);
  const balanceOf = async (name: string): Promise<number> => {
    const { rows } =
      (await connections[0]?.query('SELECT balance FROM account WHERE name = ?', [name])) ?? {};
    return Number(rows?.[0]?.['balance']);
  };

  it('P5 refuses the late write of a former holder, and changes nothing', async () => {
    await opened('late');
    const [former, later] = [gateOf(connect()), gateOf(connect())];
    await former.run('late', fence(5n), add('late', 1));
    await later.run('late', fence(6n), add('late', 10));
    const late = former.run('late', fence(5n), add('late', 100));
    await expect(late).rejects.toMatchObject({ code: 'fenced-off' });
    await later.run('late', fence(6n), add('late', 10));
    expect(await balanceOf('late')).toBe(21);
  });

  it('undoes the writes and the raised token together when the guarded function throws', async () => {
    await opened('undo');
    const gate = gateOf(connect());
    await gate.run('undo', fence(5n), add('undo', 1));
    const thrown = gate.run('undo', fence(9n), async (tx) => {
      await add('undo', 100)(tx);
      throw new Error('mine');
    });
    await expect(thrown).rejects.toThrow('mine');
    await gate.run('undo', fence(5n), add('undo', 1));
    expect(await balanceOf('undo')).toBe(2);
  });

  it('lets a later holder in only after the transaction of the earlier one, and none of the earlier after it', async () => {
    await opened('order');
    const [earlier, later] = [gateOf(connect()), gateOf(connect())];
    const order: string[] = [];
    let second: Promise<unknown> = Promise.resolve();
    await earlier.run('order', fence(5n), async (tx) => {
      order.push('5 in');
      second = later.run('order', fence(6n), async (inner) => {
        order.push('6 in');
        await add('order', 10)(inner);
      });
      for (let round = 0; round < 50; round += 1) await add('order', 1)(tx);
      order.push('5 out');
    });
    await second;
    expect(order).toEqual(['5 in', '5 out', '6 in']);
    await expect(earlier.run('order', fence(5n), add('order', 1_000))).rejects.toMatchObject({
      code: 'fenced-off',
    });
    expect(await balanceOf('order')).toBe(60);
  });

  it('decides for the higher token when many holders come at once, and loses no update that it let through', async () => {
    await opened('many');
    const gates = [1, 2, 3, 4].map(() => gateOf(connect()));
    let passed = 0;
    await Promise.all(
      gates.map(async (gate, at) => {
        for (let round = 0; round < 10; round += 1) {
          await gate.run('many', fence(BigInt(round * 4 + at + 1)), add('many', 1)).then(
            () => (passed += 1),
            (error: unknown) => expect(error).toMatchObject({ code: 'fenced-off' }),
          );
        }
      }),
    );
    expect(await balanceOf('many')).toBe(passed);
    await expect(gates[0]?.run('many', fence(39n), add('many', 1))).rejects.toMatchObject({
      code: 'fenced-off',
    });
  });

  it('P34 keeps tokens of 64 bits exactly, and compares them as numbers', async () => {
    await opened('exact');
    const gate = gateOf(connect());
    const largest = 2n ** 63n - 1n;
    await gate.run('exact', fence(9n), add('exact', 1));
    await gate.run('exact', fence(10n), add('exact', 1));
    await gate.run('exact', fence(largest - 1n), add('exact', 1));
    await gate.run('exact', fence(largest), add('exact', 1));
    for (const token of [largest - 1n, 9_007_199_254_740_993n, 99n]) {
      await expect(gate.run('exact', fence(token), add('exact', 1))).rejects.toMatchObject({
        code: 'fenced-off',
      });
    }
    expect(await balanceOf('exact')).toBe(4);
  });

  it('refuses the tokens of another cluster until it is adopted', async () => {
    await opened('adopt');
    const gate = gateOf(connect());
    const other = fence(1n, 2n ** 64n - 1n);
    await gate.run('adopt', fence(500n), add('adopt', 1));
    await expect(gate.run('adopt', other, add('adopt', 1))).rejects.toMatchObject({ code: 'fenced-off' });
    await gate.adopt('adopt', other.clusterId);
    await gate.run('adopt', other, add('adopt', 1));
    await gate.adopt('adopt', other.clusterId);
    await gate.run('adopt', fence(7n, other.clusterId), add('adopt', 1));
    await gate.adopt('adopt', other.clusterId);
    await expect(gate.run('adopt', other, add('adopt', 1))).rejects.toMatchObject({ code: 'fenced-off' });
    await expect(gate.run('adopt', fence(501n), add('adopt', 1))).rejects.toMatchObject({
      code: 'fenced-off',
    });
    expect(await balanceOf('adopt')).toBe(3);
  });
});
