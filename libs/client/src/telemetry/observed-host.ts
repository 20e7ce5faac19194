import { type Observable } from 'rxjs';
import { type ConnectionState } from '../connection/connection-state.js';
import { type ClientWarning, type Host } from '../host.js';
import { type Telemetry } from './telemetry.js';

/** A host that passes warnings on, and has them counted and logged. */
export function observedHost(host: Host, telemetry: Telemetry | undefined): Host {
  if (telemetry === undefined) return host;
  const warn = (warning: ClientWarning): void => {
    observeWarning(telemetry, warning);
    host.warn(warning);
  };
  return { ...host, warn, telemetry };
}

function observeWarning({ meter, logger }: Telemetry, warning: ClientWarning): void {
  if (warning.code === 'release-rejected') {
    const namespace = warning.namespace ?? '';
    meter?.count('conclave_client_config_rejections_total', { namespace });
  }
  logger?.warn(warning.message, { code: warning.code });
}

/** Lines about the connection, until it is closed. */
export function logConnection(telemetry: Telemetry | undefined, state$: Observable<ConnectionState>): void {
  const logger = telemetry?.logger;
  if (logger === undefined) return;
  state$.subscribe((state) => {
    if (state.kind === 'connected') {
      const { endpoint, clusterId, revision } = state;
      logger.info(`connected to ${endpoint}`, {
        endpoint,
        clusterId: clusterId.toString(16),
        revision: String(revision),
      });
    } else if (state.kind === 'suspended') {
      const reason = state.lastError.message;
      logger.warn(`the connection is suspended: ${reason}`, { reason });
    } else if (state.kind === 'closed') {
      logger.debug('the connection is closed');
    }
  });
}
