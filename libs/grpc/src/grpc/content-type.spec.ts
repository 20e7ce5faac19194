import { describe, expect, it } from 'vitest';
import { classifyContentType } from './content-type.js';

describe('content type', () => {
  it.each([
    ['application/grpc', 'grpc'],
    ['application/grpc+proto', 'grpc'],
    ['application/grpc;charset=utf-8', 'grpc'],
    ['application/grpc+proto; v=1', 'grpc'],
    ['application/grpc+json', 'unsupported-grpc'],
    ['application/grpc-web', 'other'],
    ['application/grpcx', 'other'],
    ['application/json', 'other'],
    ['', 'other'],
    [undefined, 'other'],
  ])('%s is %s', (value, kind) => {
    expect(classifyContentType(value)).toBe(kind);
  });
});
