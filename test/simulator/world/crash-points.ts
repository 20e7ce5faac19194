import { type Fate } from './fate.js';
import { type FaultProfile } from './profile.js';

/** At which effects of its disk a member crashes. */
export class CrashPoints {
  crashes = 0;
  /** Disk effects of all processes. */
  effects = 0;
  isCalm = false;
  private at: number;

  /** @param first The effect of the first crash, when it is not to be left to chance. */
  constructor(
    private readonly fate: Fate,
    private readonly faults: FaultProfile,
    private readonly place: number,
    first: number | undefined,
  ) {
    this.at = first ?? this.next(false);
  }

  /** Counts an effect; true when the crash is due. */
  isDue(): boolean {
    this.effects++;
    return !this.isCalm && this.effects >= this.at;
  }

  /** Whether a crash that is due cuts the power. */
  get cutsPower(): boolean {
    return this.fate.chance(this.faults.powerShare, 'power', this.place, this.effects);
  }

  crashed(): void {
    this.crashes++;
    this.at = this.next(true);
  }

  private next(isRestart: boolean): number {
    const { crashes, earlyCrashChance, crashSpread } = this.faults;
    if (this.crashes >= crashes) return Number.POSITIVE_INFINITY;
    const draw = this.fate.draw('crash point', this.place + this.crashes);
    const spread = isRestart && draw.chance(earlyCrashChance) ? 30 : crashSpread;
    return this.effects + 1 + draw.below(spread);
  }
}
