/** What a replica tells whoever runs it; each is called when it is set. */
export interface ReplicaEvents {
  /** This member starts to lead in a term; with undefined: it no longer does. */
  leadership?: (term: number | undefined) => void;
  /** A leader became known. */
  leader?: () => void;
  /** A state from the leader took the place of this member's own. */
  restored?: () => void;
  /** This member serves nobody any more because its state is in doubt. */
  doubted?: () => void;
  /** A state that the leader sent does not fit on the disk. */
  noSpace?: () => void;
  /** At each tick. */
  tick?: () => void;
  /** Called once when the member cannot go on; whoever runs it must end the process. Must be set before the start. */
  failure?: (error: Error) => void;
}
