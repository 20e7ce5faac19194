import { type Chance } from '../../compat/chance.js';
import { type MemberProcess } from '../../members/member-process.js';
import { MemberClient } from '../traffic/member-client.js';
import { type Watcher } from '../traffic/watcher.js';
import { delay } from '../traffic/within.js';
import { type Writer } from '../traffic/writer.js';
import { impatient } from './tested-cluster.js';

/** Clients that go from member to member, also to those that are down or cut off, as clients without a clue do. */
export interface Roaming {
  readonly chance: Chance;
  /** The members as of now. */
  readonly members: () => readonly MemberProcess[];
  readonly isOver: () => boolean;
}

/** Writes through one member after the other, a drawn number of operations through each. */
export async function roamWriting(writer: Writer, { chance, members, isOver }: Roaming): Promise<void> {
  while (!isOver()) {
    const client = new MemberClient(chance.pick(members()), impatient);
    let steps = 1 + chance.below(80);
    await writer.write(client, () => isOver() || steps-- === 0);
    await client.close();
    await delay(chance.below(30));
  }
}

/** Watches through one member after the other, for a drawn time or until the connection is lost. */
export async function roamWatching(watcher: Watcher, { chance, members, isOver }: Roaming): Promise<void> {
  while (!isOver()) {
    const client = new MemberClient(chance.pick(members()), impatient);
    const lost = new Promise<void>((resolve) => {
      client.channel.onState = (state) => {
        if (state === 'disconnected') resolve();
      };
    });
    watcher.connect(client);
    await Promise.race([lost, delay(50 + chance.below(1_000))]);
    watcher.disconnect();
    await client.close();
    await delay(chance.below(30));
  }
}
