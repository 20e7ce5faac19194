import { Buffer } from 'node:buffer';
import { type IncomingMessage, type OutgoingHttpHeaders, request as httpRequest } from 'node:http';
import { duplexPair } from 'node:stream';
import { type HttpExchange } from '@conclave/grpc';
import { type HttpFront } from './http-front.js';

/** Methods whose requests have no body that means anything. */
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE']);
/** Fields that belong to one connection, or that the bridge sets itself. */
const ownFields: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'expect',
]);

/**
 * Answers an HTTP/2 request that is no gRPC by the HTTP/1.1 application: request and answer stream through an
 * in-memory connection, so that there is one application, one set of checks and one behaviour for both.
 */
export function bridgeHttp2(exchange: HttpExchange, front: HttpFront): void {
  const [near, far] = duplexPair();
  const { remote, tls } = exchange;
  // A pair does not tell one end that the other was destroyed. An answer that was completed may still be under way.
  near.once('close', () => far.destroy());
  far.once('close', () => {
    if (!far.writableFinished) near.destroy();
  });
  front.accept(
    Object.assign(far, {
      remoteAddress: remote.address,
      remotePort: remote.port,
      encrypted: tls !== undefined,
    }),
  );
  let request: ReturnType<typeof httpRequest>;
  try {
    const { method, path } = exchange;
    request = httpRequest({ createConnection: () => near, method, path, headers: headersOf(exchange) });
  } catch {
    // Node refuses methods, paths and fields that HTTP/1.1 cannot carry.
    near.destroy();
    exchange.writeHead(400, { 'content-length': 0 });
    exchange.end();
    return;
  }
  request.on('error', () => exchange.abort());
  request.on('response', (response) => relayAnswer(response, exchange));
  relayBody(exchange, request);
  exchange.onAbort = () => {
    request.destroy();
    near.destroy();
  };
}

function headersOf(exchange: HttpExchange): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = {};
  const { fields } = exchange.headers;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string;
    if (!ownFields.has(name)) (headers[name] ??= []).push(fields[i + 1] as string);
  }
  const framing = bodiless.has(exchange.method) ? {} : { 'transfer-encoding': 'chunked' };
  return { ...headers, host: exchange.authority, connection: 'close', ...framing };
}

function relayBody(exchange: HttpExchange, request: ReturnType<typeof httpRequest>): void {
  const hasBody = !bodiless.has(exchange.method);
  request.on('drain', () => exchange.resume());
  exchange.onEnd = () => request.end();
  exchange.onData = (chunk) => {
    // The chunk is valid during the call only.
    if (hasBody && !request.write(Buffer.from(chunk))) exchange.pause();
  };
}

function relayAnswer(answer: IncomingMessage, exchange: HttpExchange): void {
  exchange.writeHead(answer.statusCode ?? 500, answer.headers);
  exchange.onDrain = () => answer.resume();
  answer.on('data', (chunk: Buffer) => {
    if (!exchange.write(chunk)) answer.pause();
  });
  answer.on('end', () => exchange.end());
  answer.on('error', () => exchange.abort());
}
