import { AsyncLocalStorage } from 'node:async_hooks';
import { type SpanAttributes, type SpanLike, type TracerLike } from './telemetry-options.js';

/** As OpenTelemetry has it. */
const failedStatus = 2;

/** A span that ends once; what is said to it after its end is dropped. */
export class OpenSpan {
  private isOver = false;

  constructor(private readonly span: SpanLike) {}

  /** Undefined after the end: a timer that was set inside goes on for long, and is no part of it. */
  get current(): SpanLike | undefined {
    return this.isOver ? undefined : this.span;
  }

  set(name: string, value: string | number | boolean): void {
    if (!this.isOver) this.span.setAttribute(name, value);
  }

  end(error?: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    if (error !== undefined) {
      const failure = error instanceof Error ? error : new Error(String(error));
      this.span.recordException(failure);
      this.span.setStatus({ code: failedStatus, message: failure.message });
    }
    this.span.end();
  }
}

/** The spans of a client, and what its calls tell the server about the span that they are made in. */
export class Tracing {
  /** The innermost span of this client that the calling chain of functions runs in. */
  private readonly current = new AsyncLocalStorage<OpenSpan>();

  constructor(
    private readonly tracer: TracerLike,
    private readonly activeSpan: (() => SpanLike | undefined) | undefined,
  ) {}

  /** Runs the function in a span, which ends with it. */
  within<T>(name: string, attributes: SpanAttributes, fn: (span: OpenSpan) => Promise<T>): Promise<T> {
    return this.tracer.startActiveSpan(name, { attributes }, async (span) => {
      const open = new OpenSpan(span);
      try {
        const result = await this.current.run(open, () => fn(open));
        open.end();
        return result;
      } catch (error) {
        open.end(error);
        throw error;
      }
    });
  }

  /** Runs a function that does not wait, in a span of a trace of its own. */
  apart(name: string, attributes: SpanAttributes, fn: () => void): void {
    this.tracer.startActiveSpan(name, { attributes, root: true }, (span) => {
      const open = new OpenSpan(span);
      try {
        this.current.run(open, fn);
        open.end();
      } catch (error) {
        open.end(error);
        throw error;
      }
    });
  }

  /** Begins a span that no function runs in. `root`: of a trace of its own, not of whoever happens to be running. */
  begin(name: string, attributes: SpanAttributes, root = false): OpenSpan {
    return this.tracer.startActiveSpan(name, { attributes, root }, (span) => new OpenSpan(span));
  }

  /** W3C Trace Context of the span that the caller runs in; undefined when it runs in none. */
  traceparent(): string | undefined {
    const span = this.activeSpan === undefined ? this.current.getStore()?.current : this.activeSpan();
    if (span === undefined) return undefined;
    const { traceId, spanId, traceFlags } = span.spanContext();
    // A tracer that does nothing gives spans of zeros.
    if (!/^[0-9a-f]{32}$/.test(traceId) || /^0+$/.test(traceId) || !/^[0-9a-f]{16}$/.test(spanId))
      return undefined;
    return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
  }
}
