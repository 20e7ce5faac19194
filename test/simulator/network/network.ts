import { type PeerMessage } from '../../../apps/server/src/engine/replica/peer-message.js';
import { type Fate } from '../world/fate.js';
import { type Schedule } from '../world/schedule.js';
import { messageText } from './message-text.js';
import { type NetworkCounts } from './network-counts.js';
import { type NetworkProfile } from './network-profile.js';
import { type CarriedState } from './state-transfer.js';

/** A running process, as the network sees it. */
export interface Endpoint {
  readonly member: number;
  arrive(message: PeerMessage): void;
  /** Another member makes its connection to this one. */
  introduced(member: number): void;
  sendFailed(member: number): void;
  unreachable(member: number): void;
  /** Another member says that this one was removed. */
  toldRemoved(): void;
  takeState(state: CarriedState, done: (error: Error | undefined) => void): void;
}

/** One direction between two members. */
interface Link {
  readonly id: number;
  /** Messages so far: names their fates. */
  messages: number;
  states: number;
  /** Reasons for which nothing gets through. */
  cuts: number;
  clogs: number;
  /** Counts connections: a message of a former one is lost. */
  connection: number;
  lastArrival: number;
  readonly held: (() => void)[];
}

export interface NetworkParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: NetworkProfile;
  readonly counts: NetworkCounts;
  /** Sees every message when it leaves. */
  readonly onSent: (from: number, message: PeerMessage) => void;
}

/** The network between members 1 to n: delays, loses, doubles and reorders messages, and is cut, clogged and reset. */
export class Network {
  isCalm = false;
  private readonly links = new Map<number, Link>();
  private readonly endpoints = new Map<number, Endpoint>();

  constructor(
    private readonly parts: NetworkParts,
    private members: number,
  ) {}

  /** One more member; it has the next number. */
  grow(): void {
    this.members++;
  }

  /** States on their way into a process, which breaks them off when it ends. */
  private readonly receptions = new Map<Endpoint, Set<() => void>>();

  attach(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.member, endpoint);
  }

  /** The process is gone. With `tells` its machine refuses connections from now on; without power nobody answers at all. */
  detach(endpoint: Endpoint, tells: boolean): void {
    const { member } = endpoint;
    if (this.endpoints.get(member) === endpoint) this.endpoints.delete(member);
    for (const broken of this.receptions.get(endpoint) ?? []) broken();
    this.receptions.delete(endpoint);
    for (let other = 1; other <= this.members; other++) {
      if (other === member) continue;
      this.breakConnection(other, member);
      if (tells) this.refuse(other, member);
    }
  }

  send(from: number, to: number, message: PeerMessage): void {
    const { fate, schedule, counts, profile } = this.parts;
    this.parts.onSent(from, message);
    const link = this.link(from, to);
    const number = ++link.messages;
    counts.messages++;
    const isLost = !this.isCalm && fate.chance(profile.lossShare, 'loss', link.id, number);
    const text = `${from} to ${to}: ${messageText(message)}`;
    if (isLost || link.cuts > 0) {
      if (isLost) counts.losses++;
      schedule.note(`lost, ${text}`);
      return;
    }
    this.deliverLater(link, to, message, text, number);
    if (this.isCalm || !fate.chance(profile.duplicateShare, 'duplicate', link.id, number)) return;
    counts.duplicates++;
    this.deliverLater(link, to, message, `again, ${text}`, -number);
  }

  /** A member makes its connection to another one, whether or not it has anything to say on it. */
  introduce(from: number, to: number): void {
    if (this.link(from, to).cuts + this.link(to, from).cuts === 0) this.endpoints.get(to)?.introduced(from);
  }

  /** Who is refused for good learns it on the connection that it made. */
  tellRemoved(from: number, to: number): void {
    this.later('removal', from, to, `${from} tells ${to} that it was removed`, () => {
      if (this.link(from, to).cuts + this.link(to, from).cuts === 0) this.endpoints.get(to)?.toldRemoved();
    });
  }

  /** Brings a state over; `done` comes once, unless the sender dies: with why it did not get there, or when it did. */
  sendState(from: number, to: number, state: CarriedState, done: (error: Error | undefined) => void): void {
    const { fate, schedule, profile, counts } = this.parts;
    const link = this.link(from, to);
    const number = ++link.states;
    counts.states++;
    const took =
      1 + fate.below(1_000 * (20 + 10 * profile.latencyMs), 'time of a state', link.id, number) / 1000;
    const isBroken = !this.isCalm && fate.chance(profile.brokenStateShare, 'broken state', link.id, number);
    // The state is there, and its sender thinks that it is not: another one follows.
    const isUnheard =
      !this.isCalm && fate.chance(profile.brokenStateShare / 2, 'unheard state', link.id, number);
    schedule.after(took, `${from} to ${to}: state at ${state.index}@${state.term}`, () => {
      const target = this.endpoints.get(to);
      if (isBroken || link.cuts > 0 || link.clogs > 0 || target === undefined) {
        counts.brokenStates++;
        return done(new Error(`the state did not reach member ${to}`));
      }
      const broken = (): void => answered(new Error(`member ${to} ended while it took the state`));
      const receptions = this.receptions.get(target) ?? new Set();
      this.receptions.set(target, receptions.add(broken));
      const answered = (error: Error | undefined): void => {
        if (!receptions.delete(broken)) return;
        const text =
          error === undefined ? `${to} has the state of ${from}` : `${to} cannot take the state of ${from}`;
        schedule.after(profile.latencyMs, text, () => done(error));
      };
      target.takeState(state, (error) => {
        if (isUnheard) counts.unheardStates++;
        answered(isUnheard ? new Error(`member ${to} has the state, but its answer was lost`) : error);
      });
    });
  }

  /** Nothing gets from one member to the other until the returned function is called. */
  cut(from: number, to: number): () => void {
    const link = this.link(from, to);
    link.cuts++;
    return () => link.cuts--;
  }

  /** What is sent waits until the returned function is called. */
  clog(from: number, to: number): () => void {
    const link = this.link(from, to);
    link.clogs++;
    return () => {
      if (--link.clogs > 0) return;
      for (const deliver of link.held.splice(0)) deliver();
    };
  }

  /** The connection breaks and is made anew: its sender learns that messages may be lost. */
  reset(from: number, to: number): void {
    this.breakConnection(from, to);
    this.later('reset', from, to, `${from} notices that its connection to ${to} broke`, () =>
      this.endpoints.get(from)?.sendFailed(to),
    );
  }

  /** Something on the way refuses connections, though the member is there. */
  reject(from: number, to: number): void {
    this.breakConnection(from, to);
    this.later('rejection', from, to, `connections of ${from} to ${to} are refused`, () => {
      const endpoint = this.endpoints.get(from);
      endpoint?.sendFailed(to);
      endpoint?.unreachable(to);
    });
  }

  private breakConnection(from: number, to: number): void {
    const link = this.link(from, to);
    link.connection++;
    link.held.length = 0;
  }

  private refuse(from: number, to: number): void {
    this.later('refusal', from, to, `${to} refuses the connection of ${from}`, () => {
      const link = this.link(from, to);
      if (this.endpoints.has(to) || link.cuts + link.clogs + this.link(to, from).cuts > 0) return;
      this.parts.counts.refusals++;
      const endpoint = this.endpoints.get(from);
      endpoint?.sendFailed(to);
      endpoint?.unreachable(to);
    });
  }

  private later(kind: string, from: number, to: number, label: string, run: () => void): void {
    const { fate, schedule } = this.parts;
    const link = this.link(from, to);
    const delay = 0.2 + fate.below(20_000, kind, link.id, link.connection) / 1000;
    schedule.after(delay, label, run);
  }

  private deliverLater(link: Link, to: number, message: PeerMessage, text: string, number: number): void {
    const { connection } = link;
    const arrive = (): void => {
      if (link.clogs > 0) {
        link.held.push(arrive);
        return;
      }
      // Only what arrives on a broken connection is lost; a link of datagrams, so to speak, has no connections.
      const isStale = this.parts.profile.isOrdered && link.connection !== connection;
      if (link.cuts === 0 && !isStale) this.endpoints.get(to)?.arrive(message);
    };
    this.parts.schedule.after(this.delay(link, number), text, arrive);
  }

  private delay(link: Link, number: number): number {
    const { fate, profile, schedule, counts } = this.parts;
    let delay = 0.05 + fate.below(2_000 * profile.latencyMs, 'latency of a message', link.id, number) / 1000;
    if (!this.isCalm && fate.chance(profile.slowShare, 'slow message', link.id, number)) {
      counts.slowMessages++;
      delay += fate.below(profile.slowMs, 'slowness of a message', link.id, number);
    }
    if (!profile.isOrdered) return delay;
    link.lastArrival = Math.max(link.lastArrival, schedule.now + delay);
    return link.lastArrival - schedule.now;
  }

  private link(from: number, to: number): Link {
    const id = from * 16 + to;
    let link = this.links.get(id);
    if (link === undefined) {
      link = { id, messages: 0, states: 0, cuts: 0, clogs: 0, connection: 0, lastArrival: 0, held: [] };
      this.links.set(id, link);
    }
    return link;
  }
}
