/** What a client process is asked to measure, and what it answers: one line of JSON each way. */
export type Task =
  | { readonly kind: 'put' | 'get'; readonly inFlight: number; readonly seconds: number }
  | { readonly kind: 'lock'; readonly inFlight: number; readonly seconds: number }
  | { readonly kind: 'state'; readonly prefix: string; readonly keys: number }
  | { readonly kind: 'fan-out'; readonly subscribers: number; readonly seconds: number }
  | { readonly kind: 'idle'; readonly seconds: number };

/** Named figures; which ones depends on the task. */
export type Figures = Readonly<Record<string, number>>;
