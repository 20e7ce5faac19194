import * as api from '@opentelemetry/api';
import { AsyncLocalStorage } from 'node:async_hooks';

/** A span as a test looks at it. */
export interface RecordedSpan {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  readonly parent: string | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly errors: string[];
  hasEnded: boolean;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Context over async calls, as an SDK has it. */
class AsyncContexts implements api.ContextManager {
  private readonly storage = new AsyncLocalStorage<api.Context>();
  active(): api.Context {
    return this.storage.getStore() ?? api.ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: api.Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.storage.run(context, () => fn.call(thisArg, ...args));
  }
  bind<T>(_context: api.Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

/** A tracer and a meter that remember, registered behind the functions of @opentelemetry/api. */
export class RecordingOpenTelemetry {
  readonly spans: RecordedSpan[] = [];
  /** `name{label=value}`: the sum, or the measurements. */
  readonly sums = new Map<string, number>();
  readonly measurements = new Map<string, number[]>();

  /** Registers itself until `end`. */
  begin(): typeof api {
    api.context.setGlobalContextManager(new AsyncContexts());
    api.trace.setGlobalTracerProvider({ getTracer: () => this.tracer });
    api.metrics.setGlobalMeterProvider({ getMeter: () => this.meter });
    return api;
  }

  end(): void {
    api.context.disable();
    api.trace.disable();
    api.metrics.disable();
  }

  named(name: string): RecordedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  private readonly tracer: api.Tracer = {
    startSpan: (name, options = {}, context = api.context.active()) => this.start(name, options, context),
    startActiveSpan: (name: string, ...rest: unknown[]) => {
      const fn = rest.pop() as (span: api.Span) => unknown;
      const [options = {}, parent = api.context.active()] = rest as [api.SpanOptions?, api.Context?];
      const span = this.start(name, options, parent);
      return api.context.with(api.trace.setSpan(parent, span), () => fn(span)) as never;
    },
  };

  private start(name: string, options: api.SpanOptions, context: api.Context): api.Span {
    const above = options.root === true ? undefined : api.trace.getSpan(context)?.spanContext();
    const spanId = hex(this.spans.length + 1, 16);
    const traceId = above?.traceId ?? hex(this.spans.length + 1, 32);
    const recorded: RecordedSpan = {
      name,
      attributes: { ...options.attributes },
      parent: above?.spanId,
      traceId,
      spanId,
      errors: [],
      hasEnded: false,
    };
    this.spans.push(recorded);
    const real = api.trace.wrapSpanContext({ traceId, spanId, traceFlags: api.TraceFlags.SAMPLED });
    real.setAttribute = (key, value) => {
      if (recorded.hasEnded) throw new Error(`${name} has ended before ${key} was set`);
      recorded.attributes[key] = value;
      return real;
    };
    real.recordException = (error) => {
      recorded.errors.push(typeof error === 'string' ? error : (error.message ?? ''));
    };
    real.end = () => {
      if (recorded.hasEnded) throw new Error(`${name} was ended twice`);
      recorded.hasEnded = true;
    };
    return real;
  }

  private get meter(): api.Meter {
    const meter = api.createNoopMeter();
    meter.createCounter = (name) => ({
      add: (value, attributes) => {
        const key = keyOf(name, attributes);
        this.sums.set(key, (this.sums.get(key) ?? 0) + value);
      },
    });
    meter.createHistogram = (name) => ({
      record: (value, attributes) => {
        const key = keyOf(name, attributes);
        this.measurements.set(key, [...(this.measurements.get(key) ?? []), value]);
      },
    });
    return meter;
  }
}

function keyOf(name: string, attributes: api.Attributes = {}): string {
  return `${name}{${Object.entries(attributes)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',')}}`;
}
