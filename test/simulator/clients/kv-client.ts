import { type Profile } from '../world/profile.js';
import { type Member } from '../world/member.js';
import { Connection, type ClientParts } from './connection.js';
import { RequestSource, type Surroundings } from './request-source.js';

/** A client that asks, waits for the answer, pauses and asks again. */
export class KvClient {
  private readonly connection: Connection;
  private requests = 0;

  constructor(
    private readonly parts: ClientParts,
    private readonly profile: Profile,
    private readonly around: Surroundings,
    private readonly number: number,
  ) {
    this.connection = new Connection(parts, number);
  }

  start(): void {
    this.pause();
  }

  broken(member: Member): void {
    this.connection.broken(member);
  }

  get isWaiting(): boolean {
    return this.connection.isWaiting;
  }

  private pause(): void {
    const { fate, schedule } = this.parts;
    const mean = this.profile.thinkMs;
    const pause = fate.below(2_000 * mean, 'pause', this.number, this.requests) / 1000;
    schedule.after(pause, `client ${this.number} is awake`, () => this.ask());
  }

  private ask(): void {
    const { fate, schedule } = this.parts;
    if (this.connection.home.find() === undefined) {
      schedule.after(40, `client ${this.number} tries again`, () => this.ask());
      return;
    }
    if (!this.parts.takeOperation()) return;
    const number = ++this.requests;
    const draw = fate.draw('request', this.number, number);
    const request = new RequestSource(draw, this.profile, this.around, `${this.number}.${number}`).next();
    this.connection.call(request, () => this.pause());
  }
}
