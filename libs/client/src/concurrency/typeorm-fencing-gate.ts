import { AsyncLocalStorage } from 'node:async_hooks';
import { DeadlockError, InvalidArgumentError } from '../errors.js';
import { type FencingGate } from './fencing-gate.js';
import { fencingTableSql, type SqlDialect, sqlFencingGate, type SqlTransaction } from './sql-fencing-gate.js';

/** The part of TypeORM's EntityManager that the gate uses. */
export interface TypeOrmManager {
  // TypeORM's own signature: of unknown parameters its EntityManager would not be one.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  query(sql: string, parameters?: any[]): Promise<any>;
}

/** The part of TypeORM's DataSource that the gate uses; those of TypeORM 0.3 and 1 are one. */
export interface TypeOrmDataSource<Manager extends TypeOrmManager> {
  readonly options: { readonly type: string };
  readonly manager: Manager;
  transaction<T>(run: (manager: Manager) => Promise<T>): Promise<T>;
}

/** The part of TypeORM's QueryRunner that the migration uses. */
export interface TypeOrmQueryRunner {
  /** As TypeORM 1 calls it, and as 0.3 does. */
  readonly dataSource?: { readonly options: { readonly type: string } };
  readonly connection?: { readonly options: { readonly type: string } };
  query(sql: string): Promise<unknown>;
}

/** What TypeORM takes in `migrations`, once made with `new`. */
export interface FencingMigration {
  readonly name: string;
  up(queryRunner: TypeOrmQueryRunner): Promise<void>;
  down(queryRunner: TypeOrmQueryRunner): Promise<void>;
}

export interface TypeOrmFencingGateOptions {
  /** Default `conclave_fence`; may name a schema. Made by {@link fencingMigration} or {@link fencingTableSql}. */
  readonly table?: string;
}

const dialects: Readonly<Record<string, SqlDialect>> = {
  postgres: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  sqlite: 'sqlite',
  sqljs: 'sqlite',
  'better-sqlite3': 'sqlite',
  'react-native': 'sqlite',
  capacitor: 'sqlite',
  cordova: 'sqlite',
  expo: 'sqlite',
  nativescript: 'sqlite',
};

/**
 * A gate in the database of a TypeORM data source (0.3 or 1; PostgreSQL, MySQL, MariaDB and the drivers of SQLite). The
 * guarded function gets the EntityManager of the transaction in which the gate's row was written: what it saves there is
 * committed with the token or not at all. Reads on which the writes depend belong in there too, or in a `run` of their own
 * before: a former holder may write as long as the gate has not seen the later token.
 *
 * TypeORM has one connection for SQLite, on which transactions that run at the same time would become parts of each other:
 * there the gate runs one function at a time per data source. Transactions that the application begins beside it are not
 * in that queue.
 *
 * @throws InvalidArgumentError for another database, or a table that is no plain name. `run` rejects with DeadlockError when
 *   it is called from within a guarded function of the same SQLite data source.
 */
export function typeOrmFencingGate<Manager extends TypeOrmManager>(
  dataSource: TypeOrmDataSource<Manager>,
  options: TypeOrmFencingGateOptions = {},
): FencingGate<Manager> {
  const dialect = dialectOf(dataSource.options.type);
  const begin = dialect === 'sqlite' ? oneAtATime(dataSource) : dataSource.transaction.bind(dataSource);
  const gate = sqlFencingGate<ManagedTransaction<Manager>>({
    dialect,
    transaction: (fn) => begin((manager) => fn(new ManagedTransaction(manager))),
    ...(options.table === undefined ? {} : { table: options.table }),
  });
  return {
    run: (resource, fence, fn) => gate.run(resource, fence, ({ manager }) => fn(manager)),
    adopt: (resource, clusterId) => gate.adopt(resource, clusterId),
  };
}

/**
 * The migration that makes the table of the gate, for `migrations` of a data source.
 *
 * @throws InvalidArgumentError for a table that is no plain name.
 */
export function fencingMigration(options: TypeOrmFencingGateOptions = {}): new () => FencingMigration {
  const table = options.table ?? 'conclave_fence';
  fencingTableSql('sqlite', table);
  return class implements FencingMigration {
    /** TypeORM orders by the thirteen digits at the end, and knows by the name what was done. */
    readonly name = `ConclaveFencingGate_${table.replace('.', '_')}_1763856000000`;

    async up(queryRunner: TypeOrmQueryRunner): Promise<void> {
      const type = (queryRunner.dataSource ?? queryRunner.connection)?.options.type ?? 'unknown';
      await queryRunner.query(fencingTableSql(dialectOf(type), table));
    }

    async down(queryRunner: TypeOrmQueryRunner): Promise<void> {
      await queryRunner.query(`DROP TABLE ${table}`);
    }
  };
}

/** A transaction of TypeORM as the gate wants one. */
class ManagedTransaction<Manager extends TypeOrmManager> implements SqlTransaction {
  constructor(readonly manager: Manager) {}

  async query(sql: string, parameters: string[]): Promise<{ readonly rows: readonly object[] }> {
    const result: unknown = await this.manager.query(sql, parameters);
    return { rows: Array.isArray(result) ? (result as readonly object[]) : [] };
  }
}

function dialectOf(type: string): SqlDialect {
  const dialect = dialects[type];
  if (dialect !== undefined) return dialect;
  throw new InvalidArgumentError(
    `dataSource: a fencing gate in '${type}' is not known; possible are ${Object.keys(dialects).join(', ')}`,
  );
}

/** By data source: what was begun last on its one connection. */
const lastOf = new WeakMap<object, Promise<unknown>>();
/** The data source in whose turn the code runs. */
const turnOf = new AsyncLocalStorage<object>();

/** Transactions on the one connection of this data source, one after the other, over all gates of it. */
function oneAtATime<Manager extends TypeOrmManager>(
  dataSource: TypeOrmDataSource<Manager>,
): <T>(run: (manager: Manager) => Promise<T>) => Promise<T> {
  return (run) => {
    if (turnOf.getStore() === dataSource) {
      return Promise.reject(
        new DeadlockError(
          'a guarded function waits for a gate on the same connection of SQLite, which it occupies itself: ' +
            'write through the EntityManager that it was given, or call the second gate after the first',
        ),
      );
    }
    const before = lastOf.get(dataSource) ?? Promise.resolve();
    const turn = before.then(() => turnOf.run(dataSource, () => dataSource.transaction(run)));
    lastOf.set(
      dataSource,
      turn.catch(() => undefined),
    );
    return turn;
  };
}
