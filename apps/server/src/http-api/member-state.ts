export type AlarmKind = 'NOSPACE' | 'CORRUPT';

/** What the HTTP API asks a running member about itself, all of it from memory and without waiting. */
export interface MemberState {
  /** Id of the leader that this member knows of; 0n while there is none. */
  leader(): bigint;
  isLearner(): boolean;
  /** Kinds of the alarms raised anywhere in the cluster. */
  alarms(): readonly AlarmKind[];
  /** What comparing the members said of this one; while it is not sound the member serves nobody. */
  integrity(): 'sound' | 'results-differ' | 'log-differs';
  /** Version of the cluster (`3.6.0`); undefined until the cluster decided it. */
  clusterVersion(): string | undefined;
  /** Version of the storage schema (`3.6.0`); undefined until known. */
  storageVersion(): string | undefined;
}
