import { type Member } from '../world/member.js';
import { type ClientParts } from './connection.js';

/** The member that a client talks to; when that is gone, another one, by chance. */
export class Home {
  private member: Member | undefined;
  private moves = 0;

  constructor(
    private readonly parts: Pick<ClientParts, 'fate' | 'members'>,
    private readonly client: number,
    /** The client turns to a member, with a new connection. */
    private readonly onMove: () => void,
  ) {}

  /** For the lines of the trace; empty when there is only one member. */
  get label(): string {
    return this.parts.members.length === 1 ? '' : ` at m${this.member?.number ?? 0}`;
  }

  /** The member, while it serves, or another one that does; undefined when nobody does. */
  find(): Member | undefined {
    if (this.member?.engine !== undefined) return this.member;
    const serving = this.parts.members.filter(({ engine }) => engine !== undefined);
    if (serving.length === 0) return undefined;
    this.member = serving[this.parts.fate.below(serving.length, 'home', this.client, ++this.moves)];
    this.onMove();
    return this.member;
  }

  /** From now on `member`, while it serves. */
  stay(member: Member): void {
    this.member = member;
  }

  /** Leaves `member`, or whoever it is; false when it was somebody else. */
  leave(member: Member | undefined): boolean {
    if (member !== undefined && member !== this.member) return false;
    this.member = undefined;
    return true;
  }
}
