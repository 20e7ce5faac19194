/** What a request's content type asks for (gRPC over HTTP/2, "Content-Type"). */
export type ContentKind = 'grpc' | 'unsupported-grpc' | 'other';

/**
 * `application/grpc`, `application/grpc+proto` and parameters after `;` are gRPC. Another codec (`+json`) is gRPC that
 * this server cannot read, answered with HTTP 415. `application/grpc-web` is another protocol.
 */
export function classifyContentType(value: string | undefined): ContentKind {
  if (value === undefined || !value.startsWith('application/grpc')) return 'other';
  const rest = value.slice('application/grpc'.length);
  if (rest === '' || rest === '+proto' || rest.startsWith(';') || rest.startsWith('+proto;')) return 'grpc';
  return rest.startsWith('+') ? 'unsupported-grpc' : 'other';
}
