import { type ClientWarning } from '../host.js';
import { warningMonitor, type WatchMonitor } from '../watch/watch-monitor.js';
import { type Telemetry } from './telemetry.js';

/** A monitor that warns of lost changes, counts resyncs, and makes a span and a line of each. */
export function observedMonitor(
  telemetry: Telemetry,
  range: string,
  warn: (warning: ClientWarning) => void,
): WatchMonitor {
  const { tracing, meter, logger } = telemetry;
  return {
    ...warningMonitor(range, warn),
    resyncing: (reason) => {
      meter?.count('conclave_client_watch_resyncs_total', { reason });
      const attributes = { 'conclave.watch.range': range, 'conclave.watch.reason': reason };
      const span = tracing?.begin('conclave.watch.resync', attributes, true);
      return (outcome) => {
        if (outcome !== undefined) {
          const { changes } = outcome;
          const revision = String(outcome.revision);
          span?.set('conclave.revision', revision);
          span?.set('conclave.watch.changes', changes);
          logger?.info(`the watch on '${range}' was read again (${reason}): ${changes} changes`, {
            reason,
            revision,
          });
        }
        span?.end();
      };
    },
  };
}
