import { type ViewChange } from '../config/config-reader.js';
import { type Telemetry } from './telemetry.js';

/** Runs what gives configuration to the application in a span: one for all that was released together. */
export function tracedApplying(
  telemetry: Telemetry | undefined,
  { views, cause }: ViewChange,
  apply: () => void,
): void {
  const tracing = telemetry?.tracing;
  if (tracing === undefined) return apply();
  const all = [...views.values()];
  const revision = all.reduce((newest, view) => (view.revision > newest ? view.revision : newest), 0n);
  const attributes = {
    'conclave.config.releases': all.map((view) => `${view.namespace}=${view.release}`).join(' '),
    'conclave.config.cause': cause,
    'conclave.revision': String(revision),
  };
  tracing.apart('conclave.config.apply', attributes, apply);
}
