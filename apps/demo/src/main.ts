import { setTimeout as pause } from 'node:timers/promises';
import { type ConclaveClient, createClient } from '@conclave/client';
import { configPrefix, electionName, type Report } from './report.js';
import { Member } from './stage/member.js';
import { Observations } from './stage/observations.js';
import { Screen } from './stage/screen.js';
import { Troupe } from './stage/troupe.js';

const workers = ['ada', 'ben', 'cleo'];
const changesBeforeEachKill = 12;
const kills = 2;
const changePauseMs = 600;

const settings: readonly (readonly [string, readonly string[]])[] = [
  ['greeting', ['hello', 'bonjour', 'hallo', 'ciao', 'hola']],
  ['batch-size', ['10', '25', '50', '100']],
  ['feature.dark-mode', ['on', 'off']],
];

/** Writes one configuration change after the other, each a new revision that every worker has to see. */
class ConfigAuthor {
  private count = 0;

  constructor(
    private readonly client: ConclaveClient,
    private readonly observations: Observations,
    private readonly screen: Screen,
  ) {}

  async change(): Promise<void> {
    const [name, values] = settings[this.count % settings.length];
    const value = values[Math.floor(this.count / settings.length) % values.length];
    this.count++;
    const { revision } = await this.client.kv.put(configPrefix + name, value);
    this.observations.changed(revision);
    this.screen.event(`config: ${name} = ${value} (revision ${revision})`, '\x1b[36m');
  }
}

async function main(): Promise<void> {
  process.stdout.write('Starting a member and three workers …\n');
  const member = await Member.start();
  const observations = new Observations();
  const screen = new Screen(process.stdout, `Conclave demo: one member at ${member.url}, three Nest workers`);
  const client = createClient({ endpoints: [member.url] });
  const troupe = new Troupe(member.url, (worker, report: Report) => {
    observations.take(worker, report);
    screen.take(worker, report);
  });
  try {
    await play({ client, troupe, observations, screen });
  } finally {
    await troupe.stop();
    await client.close();
    await member.stop();
    screen.close();
  }
  summarise(observations);
}

interface Stage {
  readonly client: ConclaveClient;
  readonly troupe: Troupe;
  readonly observations: Observations;
  readonly screen: Screen;
}

async function play(stage: Stage): Promise<void> {
  const author = new ConfigAuthor(stage.client, stage.observations, stage.screen);
  await author.change();
  await Promise.all(workers.map((name) => enter(stage, name)));
  for (let kill = 0; kill < kills; kill++) {
    await changeFor(author, changesBeforeEachKill);
    const name = await killLeader(stage);
    await changeFor(author, 6);
    await enter(stage, name);
  }
  await changeFor(author, changesBeforeEachKill);
  await allSeen(stage);
}

async function enter({ troupe, screen }: Stage, name: string): Promise<void> {
  screen.starting(name);
  screen.running(name, await troupe.start(name));
}

async function changeFor(author: ConfigAuthor, changes: number): Promise<void> {
  for (let change = 0; change < changes; change++) {
    await author.change();
    await pause(changePauseMs);
  }
}

/** Kills whoever leads without warning, and waits until another worker has taken over. */
async function killLeader({ client, troupe, observations, screen }: Stage): Promise<string> {
  const election = client.elections.election(electionName);
  const leader = await election.leader();
  if (leader === null) throw new Error('nobody leads, though three workers campaign');
  const before = observations.elections;
  observations.killed(leader.text, await troupe.kill(leader.text));
  screen.killed(leader.text);
  while (observations.elections === before) await pause(50);
  return leader.text;
}

/** Gives the last change time to arrive everywhere. */
async function allSeen({ troupe, observations }: Stage): Promise<void> {
  const last = observations.changesWritten - 1;
  for (let attempt = 0; attempt < 100; attempt++) {
    if (troupe.names.every((name) => observations.sawAll(name, last))) return;
    await pause(50);
  }
}

function summarise(observations: Observations): void {
  const { changesWritten, changesDelivered, lockHandOvers, elections, overlaps } = observations;
  const overlapText = overlaps === 0 ? 'zero overlaps' : `${overlaps} OVERLAPS`;
  process.stdout.write(
    `\n${changesWritten} config changes written, ${changesDelivered} deliveries seen in workers; ` +
      `${lockHandOvers} lock hand-overs; ${elections} elections (${kills} leaders killed); ${overlapText}\n`,
  );
  if (overlaps !== 0) process.exitCode = 1;
}

await main();
