import { compare, isConclaveError, op, type Held, type Validity } from '@conclave/client';
import { type Holder, type HolderCheck } from '../checks/holder-check.js';
import { type Draw } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { WorkerProcess, type WorkerMachine, type WorkerParts } from './worker-process.js';
import { type WorkerProfile } from './worker-profile.js';

/** The key that is written under the guard of the lock. */
export const guardedKey = '/guarded';

/** What all workers share. */
export interface WorkShare {
  readonly profile: WorkerProfile;
  readonly lock: HolderCheck;
  readonly election: HolderCheck;
}

/** A client that takes a lock, or campaigns, again and again, with the production SDK. Its process is stopped, and dies. */
export class Worker {
  /** It had its turns after everything was mended, and has closed its client. */
  isOver = false;
  readonly machine: WorkerMachine;
  process: WorkerProcess | undefined;
  private lives = 0;
  private turns = 0;
  private isDone = false;

  constructor(
    private readonly parts: WorkerParts,
    private readonly share: WorkShare,
    machine: WorkerMachine,
  ) {
    this.machine = machine;
  }

  start(): void {
    const { schedule } = this.parts;
    const { machine } = this;
    schedule.note(`worker ${machine.number} starts`);
    const process = new WorkerProcess(this.parts, machine, ++this.lives);
    this.process = process;
    this.live(process).catch((error: unknown) => schedule.fail(error));
  }

  broken(member: Member): void {
    this.process?.broken(member);
  }

  get isWaiting(): boolean {
    return this.process !== undefined && !this.isOver;
  }

  kill(): void {
    this.parts.schedule.note(`worker ${this.machine.number} dies`);
    this.process?.kill();
    this.process = undefined;
  }

  /** One more turn of each kind, then it leaves. */
  finish(): void {
    this.isDone = true;
  }

  private async live(process: WorkerProcess): Promise<void> {
    const { thinkMs } = this.share.profile;
    while (!this.isDone) {
      const draw = this.parts.fate.draw('turn', this.machine.number, ++this.turns);
      await process.pause(draw.below(2 * thinkMs));
      await this.attempt(process, draw, draw.chance(0.6) ? 'lock' : 'election');
    }
    for (const kind of ['lock', 'election'] as const) {
      const draw = this.parts.fate.draw('last turn', this.machine.number, ++this.turns);
      while (!(await this.attempt(process, draw, kind))) await process.pause(100);
    }
    await process.client.close();
    this.isOver = true;
  }

  /** False when there was no turn, for a reason that an application must expect. */
  private async attempt(process: WorkerProcess, draw: Draw, kind: 'lock' | 'election'): Promise<boolean> {
    try {
      if (kind === 'lock') await this.lock(process, draw);
      else await this.lead(process, draw);
      return true;
    } catch (error) {
      if (isConclaveError(error)) return false;
      throw error;
    }
  }

  private async lock(process: WorkerProcess, draw: Draw): Promise<void> {
    const { ttl } = this.share.profile;
    const mutex = process.client.locks.mutex('/lock', { raw: true, ttl, value: this.name });
    if (!this.isDone && draw.chance(0.15)) await this.removeWaiter(process, await mutex.queue());
    const wait = !this.isDone && draw.chance(0.2) ? 1_500 : 'forever';
    const handle = await mutex.acquire({ wait });
    const holder = this.holds(process, handle, this.share.lock);
    try {
      for (let write = draw.below(4); write > 0; write--) {
        await process.pause(draw.below(this.share.profile.holdMs));
        if (!handle.isHeld()) break;
        const { revision } = await handle.guardTxn((txn) => txn.do(op.put(guardedKey, `${handle.token}`)));
        this.share.lock.accepted(holder, Number(revision));
      }
    } finally {
      holder.letGo();
      await handle.release();
    }
  }

  private async lead(process: WorkerProcess, draw: Draw): Promise<void> {
    const { ttl, holdMs } = this.share.profile;
    const election = process.client.elections.election('/election', { raw: true, ttl });
    const leadership = await election.campaign({ value: this.name });
    const holder = this.holds(process, leadership, this.share.election);
    try {
      for (let proclamation = draw.below(4); proclamation > 0; proclamation--) {
        await process.pause(draw.below(holdMs));
        if (!leadership.isHeld()) break;
        await leadership.proclaim(`${this.name}/${this.turns}/${proclamation}`);
      }
    } finally {
      holder.letGo();
      await leadership.resign();
    }
  }

  private get name(): string {
    return `worker ${this.machine.number}`;
  }

  /** From now on it believes, until its deadline, its loss, or its own end of it. */
  private holds(process: WorkerProcess, held: Held, check: HolderCheck): Holder & { letGo(): void } {
    let validity: Validity | undefined;
    let isOver = false;
    held.validity$.subscribe((next) => (validity = next));
    const { name } = this;
    const holder = {
      who: name,
      token: Number(held.token),
      believes: () =>
        !isOver &&
        this.process === process &&
        validity !== undefined &&
        validity.kind !== 'lost' &&
        process.clock.monotonic() < validity.deadline,
      letGo: () => void (isOver = true),
    };
    this.parts.schedule.note(`${name} holds ${check.name} with token ${held.token}`);
    check.acquired(holder, Number(held.acquiredAt));
    return holder;
  }

  /** Somebody takes the key of one that waits out of the queue; its owner has to begin again. */
  private async removeWaiter(
    { client }: WorkerProcess,
    queue: readonly { readonly key: string; readonly token: bigint }[],
  ): Promise<void> {
    if (queue.length < 2) return;
    const [head] = queue;
    const victim = queue[1 + (this.turns % (queue.length - 1))];
    const [isThere, isWaiting] = [head, victim].map(({ key, token }) =>
      compare.createRevision(key).equals(token),
    );
    this.parts.schedule.note(`${this.name} removes ${victim.key} from the queue`);
    await client.kv.txn().if(isThere, isWaiting).do(op.delete(victim.key)).commit();
  }
}
