import { type MethodTable } from '../engine/requests/method.js';
import { type MetricRegistry } from '../metrics/registry.js';
import { type GatewayLimits } from './body-reader.js';
import { type MemberState } from './member-state.js';

/** What the HTTP API is given; everything it needs of the rest of the server. */
export interface HttpServices {
  readonly methods: MethodTable;
  readonly state: MemberState;
  readonly registry: MetricRegistry;
  readonly limits: GatewayLimits;
  /** How long the read of a health check may take. */
  readonly healthReadTimeoutMs: number;
  /** Version that `/version` presents, `3.6.0`. */
  readonly serverVersion: string;
  /** The command line, for `/debug/vars`. */
  readonly commandLine: readonly string[];
  /** An unexpected error of the HTTP application: a defect. The request was answered with 500. */
  onDefect(error: unknown, where: string): void;
}

/** Injection token of {@link HttpServices}. */
export const HTTP_SERVICES = Symbol('HttpServices');
