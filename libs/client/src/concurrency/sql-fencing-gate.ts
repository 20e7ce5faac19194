import { ConclaveError, InvalidArgumentError } from '../errors.js';
import { type Fence } from './fence.js';
import { checkFence, type FencingGate } from './fencing-gate.js';

export type SqlDialect = 'postgres' | 'sqlite' | 'mysql';

/**
 * A transaction of any SQL client: runs one statement. Parameters are `$1`, `$2` for postgres, `?` for the others. A client
 * of `pg` inside BEGIN is one as it is.
 */
export interface SqlTransaction {
  query(sql: string, parameters: string[]): Promise<{ readonly rows: readonly object[] }>;
}

export interface SqlFencingGateOptions<Tx extends SqlTransaction> {
  readonly dialect: SqlDialect;
  /** Runs the function in one transaction: commits when it resolves, rolls back and rejects when it rejects. */
  readonly transaction: <T>(fn: (transaction: Tx) => Promise<T>) => Promise<T>;
  /** Default `conclave_fence`; may name a schema. Made by {@link fencingTableSql}. */
  readonly table?: string;
}

const defaultTable = 'conclave_fence';

/** Text that compares byte by byte: the padded tokens must sort as the numbers do, whatever the collation of the database. */
const textTypes: Readonly<Record<SqlDialect, string>> = {
  postgres: 'varchar(20) COLLATE "C"',
  sqlite: 'TEXT COLLATE BINARY',
  mysql: 'varchar(20) CHARACTER SET ascii COLLATE ascii_bin',
};

const nameTypes: Readonly<Record<SqlDialect, string>> = {
  postgres: 'varchar(500)',
  sqlite: 'TEXT',
  mysql: 'varchar(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
};

/**
 * The statement that makes the table of a gate. Numbers are text: drivers give back 64-bit integers as numbers that are not
 * exact. @throws InvalidArgumentError for a table that is no plain name.
 */
export function fencingTableSql(dialect: SqlDialect, table: string = defaultTable): string {
  const text = textTypes[dialect];
  return (
    `CREATE TABLE IF NOT EXISTS ${tableName(table)} ` +
    `(resource ${nameTypes[dialect]} NOT NULL PRIMARY KEY, cluster_id ${text} NOT NULL, token ${text} NOT NULL)`
  );
}

/**
 * A gate in the database of the protected rows: its row and the guarded writes are one transaction. The row is written
 * before the guarded function runs, so the database lets two holders pass one after the other only, and the later token
 * wins whatever the order of their arrival.
 *
 * @throws InvalidArgumentError for a table that is no plain name.
 */
export function sqlFencingGate<Tx extends SqlTransaction>(
  options: SqlFencingGateOptions<Tx>,
): FencingGate<Tx> {
  const statements = statementsFor(options.dialect, tableName(options.table ?? defaultTable));
  return {
    run: (resource, fence, fn) =>
      options.transaction(async (transaction) => {
        await pass(transaction, statements, resource, fence);
        return fn(transaction);
      }),
    adopt: (resource, clusterId) =>
      options.transaction(async (transaction) => {
        const [cluster, none] = [padded(clusterId), padded(0n)];
        await transaction.query(statements.insert, [resource, cluster, none]);
        await transaction.query(statements.adopt, [cluster, none, resource, cluster]);
      }),
  };
}

interface Statements {
  readonly insert: string;
  readonly raise: string;
  readonly read: string;
  readonly adopt: string;
}

/**
 * Raises the token if the row allows it, and then reads what the row says. The reading locks the row where the dialect can,
 * and so sees the newest version of it also in a transaction that began with an older snapshot; SQLite has one writer, which
 * the first statement makes this transaction.
 */
async function pass(
  tx: SqlTransaction,
  statements: Statements,
  resource: string,
  fence: Fence,
): Promise<void> {
  const [cluster, token] = [padded(fence.clusterId), padded(fence.token)];
  await tx.query(statements.insert, [resource, cluster, token]);
  await tx.query(statements.raise, [token, resource, cluster, token]);
  const { rows } = await tx.query(statements.read, [resource]);
  const [row] = rows as readonly { readonly cluster_id?: unknown; readonly token?: unknown }[];
  checkFence(resource, fence, { clusterId: numberOf(row?.cluster_id), token: numberOf(row?.token) });
}

function statementsFor(dialect: SqlDialect, table: string): Statements {
  const of = (sql: string): string => {
    let position = 0;
    return dialect === 'postgres' ? sql.replaceAll('?', () => `$${(position += 1)}`) : sql;
  };
  const ignore: Readonly<Record<SqlDialect, readonly [string, string]>> = {
    postgres: ['INSERT', ' ON CONFLICT (resource) DO NOTHING'],
    sqlite: ['INSERT OR IGNORE', ''],
    mysql: ['INSERT IGNORE', ''],
  };
  const [insert, otherwise] = ignore[dialect];
  return {
    insert: of(`${insert} INTO ${table} (resource, cluster_id, token) VALUES (?, ?, ?)${otherwise}`),
    raise: of(`UPDATE ${table} SET token = ? WHERE resource = ? AND cluster_id = ? AND token <= ?`),
    read: of(
      `SELECT cluster_id, token FROM ${table} WHERE resource = ?${dialect === 'sqlite' ? '' : ' FOR UPDATE'}`,
    ),
    adopt: of(`UPDATE ${table} SET cluster_id = ?, token = ? WHERE resource = ? AND cluster_id <> ?`),
  };
}

/** Twenty digits hold every unsigned 64-bit number. */
function padded(value: bigint): string {
  return value.toString().padStart(20, '0');
}

function numberOf(value: unknown): bigint {
  if (typeof value === 'string' && /^\d{20}$/.test(value)) return BigInt(value);
  throw new ConclaveError(
    'server',
    `the row of the fencing gate holds ${String(value)} where twenty digits belong: the table is not the one of fencingTableSql()`,
    false,
  );
}

/** Names cannot be parameters: only plain ones are taken. */
function tableName(table: string): string {
  if (/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/.test(table)) return table;
  throw new InvalidArgumentError(
    `table: '${table}' is no plain name; take letters, digits, _ and one dot for a schema`,
  );
}
