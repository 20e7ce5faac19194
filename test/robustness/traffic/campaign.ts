import { type Chance } from '../../compat/chance.js';
import { MemberProcess } from '../../members/member-process.js';
import { Traffic, type TrafficReport } from './traffic.js';
import { delay, within } from './within.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly writers: number;
  /** Whether history is compacted during the rounds. */
  readonly compacts: boolean;
  /** How long a round lasts. */
  roundMs(chance: Chance, round: number): number;
  /** What happens to the data directory between the death of the member and its next start: to plant a bug. */
  readonly afterDeath?: (dataDirectory: string) => void;
}

/**
 * A member under traffic that is killed again and again and restarted on the same data directory, until it is stopped in
 * order after the last round. The seed decides what is written and when the kill comes; what the kill hits is chance.
 */
export class Campaign {
  private readonly traffic: Traffic;
  private member!: MemberProcess;

  constructor(private readonly options: CampaignOptions) {
    this.traffic = new Traffic(options.seed, options.writers);
  }

  async run(): Promise<TrafficReport> {
    this.member = await MemberProcess.create('conclave');
    const { member, traffic } = this;
    try {
      await this.start();
      for (let round = 1; round <= this.options.rounds; round++) await this.round(round);
      await traffic.finish(member);
      await stopInOrder(member);
      return traffic.judge();
    } finally {
      await traffic.disconnect();
      await member.remove();
    }
  }

  private async round(round: number): Promise<void> {
    const { member, traffic } = this;
    const { chance } = traffic;
    const running = traffic.connect(member);
    if (this.options.compacts && chance.chance(0.7)) running.push(traffic.compact(member));
    // Mostly the clock runs from when traffic flows; else the kill comes while the member is still warming up.
    if (chance.chance(0.6)) await within(traffic.recorder.moreAcknowledged(20), 'the first answers');
    await delay(this.options.roundMs(chance, round));
    // Now and then it is asked to stop, which must not lose or repeat anything either.
    await member.stop(chance.chance(0.15) ? 'SIGTERM' : 'SIGKILL');
    await within(Promise.all(running), 'the end of all calls after the death of the member');
    await traffic.disconnect();
    this.options.afterDeath?.(member.dataDirectory);
    if (chance.chance(0.25)) await this.dieDuringStart();
    await this.start();
    await traffic.inspect(member);
  }

  private start(): Promise<void> {
    return within(this.member.start(), 'a start');
  }

  private async dieDuringStart(): Promise<void> {
    const starting = this.member.start().catch(() => undefined);
    await delay(this.traffic.chance.below(700));
    await this.member.stop('SIGKILL');
    await starting;
  }
}

/** @throws Error with what it printed when it does not end with code 0. */
export async function stopInOrder(member: MemberProcess): Promise<void> {
  await member.stop('SIGTERM');
  const code = await member.ended();
  if (code !== 0) throw new Error(`a member that was asked to stop ended with ${code}:\n${member.output}`);
}
