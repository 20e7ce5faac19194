import { type TroubleKind } from './network-profile.js';

/** How often each thing has happened between members. */
export interface NetworkCounts extends Record<TroubleKind, number> {
  messages: number;
  losses: number;
  duplicates: number;
  slowMessages: number;
  refusals: number;
  states: number;
  brokenStates: number;
  /** States that arrived although their sender thinks that they did not. */
  unheardStates: number;
  /** Changes of the members that the cluster made, and machines that were lost. */
  additions: number;
  learners: number;
  promotions: number;
  removals: number;
  leaderMoves: number;
  /** Several changes at once. */
  jointChanges: number;
  /** Members cut off, or leaders lost, right after a joint configuration began. */
  jointStrikes: number;
  wipes: number;
}

export function noNetworkFaults(): NetworkCounts {
  return {
    messages: 0,
    losses: 0,
    duplicates: 0,
    slowMessages: 0,
    refusals: 0,
    states: 0,
    brokenStates: 0,
    unheardStates: 0,
    additions: 0,
    learners: 0,
    promotions: 0,
    removals: 0,
    leaderMoves: 0,
    jointChanges: 0,
    jointStrikes: 0,
    wipes: 0,
    pauses: 0,
    isolations: 0,
    refusedMembers: 0,
    oneWayCuts: 0,
    bridges: 0,
    partitions: 0,
    clogs: 0,
    resets: 0,
    kills: 0,
    blackouts: 0,
    majorityLosses: 0,
  };
}
