/** What the client knows about its way to the cluster. Times are milliseconds since the Unix epoch. */
export type ConnectionState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'connecting';
      readonly attempt: number;
      readonly nextRetryAt?: number;
      /** Why the attempt before failed. */
      readonly lastError?: Error;
    }
  | {
      readonly kind: 'connected';
      readonly endpoint: string;
      readonly clusterId: bigint;
      /** The revision that the member had applied when the connection was made. */
      readonly revision: bigint;
      readonly raftTerm: bigint;
    }
  /** In doubt: there was a connection and there is none now. Locks and leases live on until their local deadline. */
  | { readonly kind: 'suspended'; readonly since: number; readonly lastError: Error }
  | { readonly kind: 'closed' };
