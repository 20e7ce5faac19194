import { type SqlDialect, type SqlTransaction } from '@conclave/client';
import { type ChildProcess, spawn } from 'node:child_process';

interface Shell {
  readonly command: readonly string[];
  /** Sent first. */
  readonly setUp: string;
  /** Makes the shell print a line. */
  print(line: string): string;
  rows(output: string): readonly Record<string, string>[];
}

/** Databases by their command lines: a database that the tests can rely on needs no driver. */
const shells: Readonly<Record<'sqlite' | 'postgres', (database: string) => Shell>> = {
  sqlite: (file) => ({
    command: ['sqlite3', file],
    setUp: '.mode json\n.timeout 10000\n',
    print: (line) => `.print ${line}\n`,
    rows: (output) => JSON.parse(output) as Record<string, string>[],
  }),
  postgres: (socketFolder) => ({
    command: ['psql', '-X', '-q', '--csv', '-h', socketFolder, '-U', 'postgres', 'postgres'],
    setUp: '',
    print: (line) => `\\echo ${line}\n`,
    rows: (output) => {
      const [header, ...lines] = output.split('\n').map((line) => line.split(','));
      return lines.map((cells) => Object.fromEntries(cells.map((cell, at) => [header?.[at] ?? '', cell])));
    },
  }),
};

const endOfOutput = '@@end@@';

/** One connection of a database: statements one after the other. */
export class SqlShell implements SqlTransaction {
  private readonly child: ChildProcess;
  private readonly shell: Shell;
  private output = '';
  private waiting: ((output: string) => void) | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    readonly dialect: SqlDialect & ('sqlite' | 'postgres'),
    database: string,
  ) {
    this.shell = shells[dialect](database);
    // Complaints come in the one stream with the answers, and so in order.
    this.child = spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', ...this.shell.command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => this.onOutput(chunk.toString('utf8')));
    this.child.stdin?.write(this.shell.setUp);
  }

  query(sql: string, parameters: readonly string[]): Promise<{ rows: readonly Record<string, string>[] }> {
    const literal = (text: string | undefined): string => `'${(text ?? '').replaceAll("'", "''")}'`;
    let at = 0;
    const bound = sql.replaceAll(/\$(\d+)|\?/g, (_, number?: string) =>
      literal(parameters[number === undefined ? at++ : Number(number) - 1]),
    );
    return this.run(bound);
  }

  /** @throws Error (rejects) with what the database says. */
  run(sql: string): Promise<{ rows: readonly Record<string, string>[] }> {
    const turn = this.queue.then(
      () =>
        new Promise<string>((resolve) => {
          this.waiting = resolve;
          this.child.stdin?.write(`${sql};\n${this.shell.print(endOfOutput)}`);
        }),
    );
    this.queue = turn;
    return turn.then((output) => {
      if (/error/i.test(output)) throw new Error(`${sql}: ${output}`);
      return { rows: output === '' ? [] : this.shell.rows(output) };
    });
  }

  /** One transaction on this connection. */
  async transaction<T>(fn: (transaction: SqlShell) => Promise<T>): Promise<T> {
    await this.run('BEGIN');
    try {
      const result = await fn(this);
      await this.run('COMMIT');
      return result;
    } catch (error) {
      await this.run('ROLLBACK');
      throw error;
    }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin?.end();
    await ended;
  }

  private onOutput(text: string): void {
    this.output += text;
    const end = this.output.indexOf(`${endOfOutput}\n`);
    if (end === -1) return;
    const answer = this.output.slice(0, end).trim();
    this.output = this.output.slice(end + endOfOutput.length + 1);
    this.waiting?.(answer);
  }
}
