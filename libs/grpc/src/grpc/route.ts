import { type HeaderBlock } from '../http2/header-block.js';
import { type HeaderSource } from '../http2/stream.js';
import { GrpcStatus } from '../status.js';
import { acceptedEncodings, acceptsGzip, parseEncoding } from './compression.js';
import { classifyContentType } from './content-type.js';
import { type HeaderCount, HeaderCounts } from './header-counts.js';
import { MethodStats } from './server-stats.js';
import { type ServerMethod, type StreamServerMethod, type UnaryServerMethod } from './service.js';
import { statusFields } from './status-fields.js';
import { parseTimeout } from './timeout.js';

/** What all gRPC calls with the same header block have in common. */
interface CallRoute {
  /** The router and the state of its table that decided; another one must not use this decision. */
  readonly owner: object;
  readonly stats: MethodStats;
  readonly headerCount: HeaderCount;
  readonly maxReceiveBytes: number;
  readonly timeoutMs: number | undefined;
  /** The client compresses its messages and reads compressed ones. */
  readonly isGzip: boolean;
}

export interface UnaryRoute extends CallRoute {
  readonly kind: 'unary';
  readonly method: UnaryServerMethod;
}

export interface StreamRoute extends CallRoute {
  readonly kind: 'stream';
  readonly method: StreamServerMethod;
}

/** The request is answered with these headers and nothing else. */
export interface RejectRoute {
  readonly kind: 'reject';
  readonly owner: object;
  readonly answer: HeaderSource;
  /** Undefined when it is no gRPC request. */
  readonly stats: MethodStats | undefined;
  readonly code: GrpcStatus;
}

/** The request is no gRPC. */
export interface HttpRoute {
  readonly kind: 'http';
  readonly owner: object;
}

/** What to do with a request. It depends on the header block only, and is therefore kept on it. */
export type Route = UnaryRoute | StreamRoute | RejectRoute | HttpRoute;

interface RegisteredMethod {
  readonly method: ServerMethod;
  readonly stats: MethodStats;
  readonly maxReceiveBytes: number;
}

const pathFormat = /^\/[^/]+\/[^/]+$/;

/** Decides by header block what a request is. */
export class Router {
  readonly stats = new Map<string, MethodStats>();
  readonly unknownMethods = new MethodStats('', 'unary');
  readonly headerCounts: HeaderCounts;
  readonly #methods = new Map<string, RegisteredMethod>();
  #owner: object = {};

  /** @param countedHeader Calls are counted by the value of this header. */
  constructor(
    private readonly takesHttp: boolean,
    countedHeader?: string,
  ) {
    this.headerCounts = new HeaderCounts(countedHeader);
  }

  /**
   * @throws TypeError when the path is no `/package.Service/Method`.
   * @throws RangeError when the path is taken.
   */
  register(path: string, method: ServerMethod, maxReceiveBytes: number): void {
    if (!pathFormat.test(path)) throw new TypeError(`${path} is no method path: use /package.Service/Method`);
    if (this.#methods.has(path)) throw new RangeError(`a method is registered at ${path} already`);
    const stats = new MethodStats(path, method.kind);
    this.stats.set(path, stats);
    this.#methods.set(path, { method, stats, maxReceiveBytes });
    // Decisions that were made before know nothing of this method.
    this.#owner = {};
  }

  routeOf(block: HeaderBlock): Route {
    const known = block.annotation as Route | undefined;
    if (known !== undefined && known.owner === this.#owner) return known;
    const route = this.#decide(block);
    block.annotation = route;
    return route;
  }

  #decide(block: HeaderBlock): Route {
    const owner = this.#owner;
    const contentKind = classifyContentType(block.get('content-type'));
    if (contentKind === 'other' && this.takesHttp) return { kind: 'http', owner };
    if (contentKind !== 'grpc')
      return this.#reject(415, GrpcStatus.Internal, 'invalid gRPC request content-type');
    if (block.get(':method') !== 'POST')
      return this.#reject(405, GrpcStatus.Internal, 'gRPC requests use POST');
    const path = block.get(':path') ?? '';
    const registered = this.#methods.get(path);
    if (registered === undefined) return this.#rejectUnknown(path);
    return this.#call(block, registered);
  }

  #call(block: HeaderBlock, registered: RegisteredMethod): Route {
    const { method, stats, maxReceiveBytes } = registered;
    const timeout = block.get('grpc-timeout');
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
    if (timeout !== undefined && timeoutMs === undefined) {
      return this.#reject(200, GrpcStatus.Internal, `malformed grpc-timeout: ${timeout}`, stats);
    }
    const encodingName = block.get('grpc-encoding');
    const encoding = parseEncoding(encodingName);
    if (encoding === undefined) {
      const message = `grpc: Decompressor is not installed for grpc-encoding "${encodingName}"`;
      return this.#reject(200, GrpcStatus.Unimplemented, message, stats, [
        'grpc-accept-encoding',
        acceptedEncodings,
      ]);
    }
    const isGzip = encoding === 'gzip' && acceptsGzip(block.get('grpc-accept-encoding') ?? 'gzip');
    const headerCount = this.headerCounts.of(method.kind, block);
    const route = { owner: this.#owner, stats, headerCount, maxReceiveBytes, timeoutMs, isGzip };
    return method.kind === 'unary'
      ? { kind: 'unary', method, ...route }
      : { kind: 'stream', method, ...route };
  }

  /** The texts are those of grpc-go. */
  #rejectUnknown(path: string): RejectRoute {
    const slash = path.lastIndexOf('/');
    const service = path.slice(1, Math.max(slash, 1));
    const isServiceKnown = [...this.#methods.keys()].some((known) => known.startsWith(`/${service}/`));
    const message =
      slash <= 0
        ? `malformed method name: "${path}"`
        : isServiceKnown
          ? `unknown method ${path.slice(slash + 1)} for service ${service}`
          : `unknown service ${service}`;
    return this.#reject(200, GrpcStatus.Unimplemented, message, this.unknownMethods);
  }

  #reject(
    httpStatus: number,
    code: GrpcStatus,
    message: string,
    stats?: MethodStats,
    extra: readonly string[] = [],
  ): RejectRoute {
    const answer = [
      ':status',
      String(httpStatus),
      'content-type',
      'application/grpc',
      ...statusFields(code, message),
      ...extra,
    ];
    return { kind: 'reject', owner: this.#owner, answer, stats, code };
  }
}
