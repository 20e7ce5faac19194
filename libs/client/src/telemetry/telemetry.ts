import { type ClientMeter, type LoggerLike, type TelemetryOptions } from './telemetry-options.js';
import { Tracing } from './tracing.js';

/** What the parts of a client report to. Absent when the application wants none of it. */
export interface Telemetry {
  readonly tracing?: Tracing;
  readonly meter?: ClientMeter;
  readonly logger?: LoggerLike;
}

export function telemetryOf(options: TelemetryOptions | undefined): Telemetry | undefined {
  if (options === undefined) return undefined;
  const { tracer, activeSpan, meter, logger } = options;
  if (tracer === undefined && meter === undefined && logger === undefined) return undefined;
  return {
    ...(tracer === undefined ? {} : { tracing: new Tracing(tracer, activeSpan) }),
    ...(meter === undefined ? {} : { meter }),
    ...(logger === undefined ? {} : { logger }),
  };
}
