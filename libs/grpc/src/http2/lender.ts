/**
 * Who lends octets that a connection sends without a copy. It is told at most once for each loan, when the transport has
 * copied all of them, so that their memory may be written again; never when the connection ends before that, or when
 * the transport keeps them for longer.
 */
export interface Lender {
  returned(): void;
}
