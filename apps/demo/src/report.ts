/** What a worker tells the stage. Times are milliseconds of the machine's monotonic clock, the same in all processes. */
export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'config'; readonly revision: string; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'lock'; readonly state: 'waiting' }
  | {
      readonly kind: 'lock';
      readonly state: 'held' | 'released';
      readonly token: string;
      readonly at: number;
    }
  | {
      readonly kind: 'leader';
      readonly state: 'elected' | 'deposed';
      readonly term: string;
      readonly at: number;
    }
  | { readonly kind: 'sees-leader'; readonly leader: string };

/** What the stage tells a worker: end in good order. */
export interface StageMessage {
  readonly kind: 'stop';
}

export const configPrefix = '/demo/config/';
export const lockName = 'demo-report';
export const electionName = 'demo-scheduler';

/** Milliseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
