import { type Report } from '../report.js';

/** What the screen shows of one worker. */
interface WorkerView {
  readonly name: string;
  state: 'starting' | 'running' | 'killed';
  pid: number;
  revision: string;
  values: Readonly<Record<string, string>>;
  lock: string;
  leads: string;
  seesLeader: string;
}

const reset = '\x1b[0m';
const bold = '\x1b[1m';
const dim = '\x1b[2m';
const green = '\x1b[32m';
const yellow = '\x1b[33m';
const red = '\x1b[31m';
const cyan = '\x1b[36m';

/** Rows of events below the workers. */
const eventRows = 10;

/**
 * The live picture: one block per worker and the last events. On a terminal it is drawn in place; elsewhere every event
 * is printed as a line.
 */
export class Screen {
  private readonly workers = new Map<string, WorkerView>();
  private readonly events: string[] = [];
  private scheduled: NodeJS.Timeout | undefined;
  private readonly started = Date.now();

  constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly title: string,
  ) {
    if (output.isTTY) output.write('\x1b[2J\x1b[?25l');
  }

  /** A worker is being started; reports of it may come before `started`. */
  starting(name: string): void {
    this.workers.set(name, {
      name,
      state: 'starting',
      pid: 0,
      revision: '-',
      values: {},
      lock: '',
      leads: '',
      seesLeader: '',
    });
    this.drawSoon();
  }

  running(name: string, pid: number): void {
    const view = this.workers.get(name);
    if (view !== undefined) view.pid = pid;
    this.event(`${name} runs (pid ${pid})`, dim);
  }

  killed(name: string): void {
    const view = this.workers.get(name);
    if (view === undefined) return;
    Object.assign(view, { state: 'killed', lock: '', leads: '' });
    this.event(`${name} was the leader: killed with SIGKILL`, red);
  }

  take(name: string, report: Report): void {
    const view = this.workers.get(name);
    if (view === undefined) return;
    view.state = 'running';
    switch (report.kind) {
      case 'ready':
        break;
      case 'config':
        view.revision = report.revision;
        view.values = report.values;
        break;
      case 'lock':
        this.lock(view, report);
        break;
      case 'leader':
        view.leads = report.state === 'elected' ? report.term : '';
        this.event(
          `${name} ${report.state === 'elected' ? 'is elected leader' : 'leads no more'}, term ${report.term}`,
          yellow,
        );
        break;
      case 'sees-leader':
        view.seesLeader = report.leader;
        break;
    }
    this.drawSoon();
  }

  event(text: string, colour: string = ''): void {
    const seconds = ((Date.now() - this.started) / 1000).toFixed(1).padStart(5);
    this.events.push(`${dim}${seconds}s${reset} ${colour}${text}${reset}`);
    if (!this.output.isTTY) this.output.write(`${seconds}s ${text}\n`);
    this.drawSoon();
  }

  /** Draws for the last time and leaves the terminal as it was. */
  close(): void {
    clearTimeout(this.scheduled);
    if (!this.output.isTTY) return;
    this.draw();
    this.output.write('\x1b[?25h\n');
  }

  private lock(view: WorkerView, report: Report & { kind: 'lock' }): void {
    if (report.state === 'held') {
      view.lock = report.token;
      this.event(`${view.name} holds the lock, token ${report.token}`, green);
    } else {
      view.lock = '';
    }
  }

  private drawSoon(): void {
    if (!this.output.isTTY) return;
    this.scheduled ??= setTimeout(() => {
      this.scheduled = undefined;
      this.draw();
    }, 50);
  }

  private draw(): void {
    const lines = [`${bold}${this.title}${reset}`, ''];
    for (const view of this.workers.values()) lines.push(...this.workerLines(view), '');
    lines.push(`${bold}events${reset}`, ...this.events.slice(-eventRows));
    this.output.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`);
  }

  private workerLines(view: WorkerView): string[] {
    const colour = { starting: dim, running: '', killed: red }[view.state];
    const lock = view.lock === '' ? `${dim}waits${reset}` : `${green}● holds it, token ${view.lock}${reset}`;
    const leader =
      view.leads === ''
        ? `${dim}follows ${view.seesLeader}${reset}`
        : `${yellow}★ LEADER, term ${view.leads}${reset}`;
    const values = Object.entries(view.values)
      .map(([key, value]) => `${key}=${cyan}${value}${reset}`)
      .join('  ');
    if (view.state === 'killed') return [`${colour}✝ ${view.name} (pid ${view.pid}) killed${reset}`, '', ''];
    return [
      `${colour}▶ ${bold}${view.name}${reset} ${dim}pid ${view.pid}${reset}  ${leader}`,
      `    lock    ${lock}`,
      `    config  ${dim}revision ${view.revision}${reset}  ${values}`,
    ];
  }
}
