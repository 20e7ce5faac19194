import { type Fence, type FencingGate, fencingTableSql, sqlFencingGate } from '@conclave/client';
import { SqlShell } from '../../e2e/sdk/sql-shell.js';

export interface LedgerPlace {
  readonly dialect: 'postgres' | 'sqlite';
  /** As SqlShell takes it. */
  readonly database: string;
}

/** Everybody who passed the gate, in the order in which they did. */
export interface LedgerRow {
  readonly seq: number;
  readonly kind: 'read' | 'write';
  readonly token: bigint;
  /** Of a read what the counter was, of a write what it is now. */
  readonly value: number;
}

/** A gate that forgets to compare: the bug that the judge must find. */
function gateWithoutComparison(shell: SqlShell): FencingGate<SqlShell> {
  return {
    run: (_resource, _fence, fn) => shell.transaction(fn),
    adopt: () => Promise.resolve(),
  };
}

/** The protected resource: a counter in a database, behind a fencing gate, with a list of all who passed. */
export class Ledger {
  private readonly gate: FencingGate<SqlShell>;

  private constructor(
    private readonly shell: SqlShell,
    comparesTokens: boolean,
  ) {
    this.gate = comparesTokens
      ? sqlFencingGate<SqlShell>({
          dialect: shell.dialect,
          transaction: (fn) => shell.transaction(fn),
        })
      : gateWithoutComparison(shell);
  }

  static open(place: LedgerPlace, comparesTokens = true): Ledger {
    return new Ledger(new SqlShell(place.dialect, place.database), comparesTokens);
  }

  /** A new one, with the counter at 0. */
  static async create(place: LedgerPlace): Promise<Ledger> {
    const ledger = Ledger.open(place);
    const { shell } = ledger;
    const counting =
      place.dialect === 'postgres' ? 'bigserial PRIMARY KEY' : 'INTEGER PRIMARY KEY AUTOINCREMENT';
    await shell.run(fencingTableSql(place.dialect));
    await shell.run('CREATE TABLE counter (value integer NOT NULL)');
    await shell.run('INSERT INTO counter VALUES (0)');
    await shell.run(
      `CREATE TABLE passed (seq ${counting}, kind varchar(5), token varchar(20), value integer NOT NULL)`,
    );
    return ledger;
  }

  /** Passes the gate as well: whoever read before a later holder did must not write after it. */
  read(fence: Fence): Promise<number> {
    return this.gate.run('counter', fence, async (shell) => {
      const value = await valueOf(shell);
      await note(shell, 'read', fence, value);
      return value;
    });
  }

  write(fence: Fence, value: number): Promise<void> {
    return this.gate.run('counter', fence, async (shell) => {
      await shell.query(`UPDATE counter SET value = ${value}`, []);
      await note(shell, 'write', fence, value);
    });
  }

  counter(): Promise<number> {
    return valueOf(this.shell);
  }

  async rows(): Promise<LedgerRow[]> {
    const { rows } = await this.shell.query('SELECT seq, kind, token, value FROM passed ORDER BY seq', []);
    return rows.map((row) => ({
      seq: Number(row['seq']),
      kind: row['kind'] === 'write' ? 'write' : 'read',
      token: BigInt(row['token'] ?? ''),
      value: Number(row['value']),
    }));
  }

  close(): Promise<void> {
    return this.shell.end();
  }
}

async function valueOf(shell: SqlShell): Promise<number> {
  const { rows } = await shell.query('SELECT value FROM counter', []);
  return Number(rows[0]?.['value']);
}

async function note(shell: SqlShell, kind: string, fence: Fence, value: number): Promise<void> {
  const token = fence.token.toString().padStart(20, '0');
  await shell.query(`INSERT INTO passed (kind, token, value) VALUES (?, ?, ${value})`, [kind, token]);
}
