/** What an application sees of its client. Nothing given costs nothing. */
export interface TelemetryOptions {
  /** Makes spans: of asking for locks, holding them, campaigns, resyncs and applied configuration. */
  readonly tracer?: TracerLike;
  /**
   * The span that the calling code runs in, for the `traceparent` of calls; OpenTelemetry: `trace.getActiveSpan`. Default: the
   * innermost span of this client that the caller runs in, when a tracer is given.
   */
  readonly activeSpan?: () => SpanLike | undefined;
  readonly meter?: ClientMeter;
  /** Without `onWarning`, warnings of the client go here instead of to the process. */
  readonly logger?: LoggerLike;
}

/**
 * Lines for people; `console` is one, `pinoLogger` and `nestLogger` make one. Fields hold no value of any key, no password and no
 * configuration.
 */
export interface LoggerLike {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Counts and measures; `prometheusMeter` and `openTelemetry` make one. */
export interface ClientMeter {
  /** @param by default 1. */
  count(name: ClientMetric, labels: Readonly<Record<string, string>>, by?: number): void;
  measure(name: ClientMetric, labels: Readonly<Record<string, string>>, seconds: number): void;
}

export type ClientMetric =
  | 'conclave_client_calls_total'
  | 'conclave_client_call_seconds'
  | 'conclave_client_retries_total'
  | 'conclave_client_watch_resyncs_total'
  | 'conclave_client_keepalive_delay_seconds'
  | 'conclave_client_losses_total'
  | 'conclave_client_config_rejections_total';

export type SpanAttributes = Record<string, string | number | boolean>;

/** A tracer of @opentelemetry/api has this shape. */
export interface TracerLike {
  startActiveSpan<T>(
    name: string,
    options: { attributes?: SpanAttributes; root?: boolean },
    fn: (span: SpanLike) => T,
  ): T;
}

/** A span of @opentelemetry/api has this shape. */
export interface SpanLike {
  setAttribute(name: string, value: string | number | boolean): unknown;
  recordException(error: Error): void;
  /** 2 says that it failed. */
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
}
