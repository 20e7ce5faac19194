/**
 * The directions of the house, as one table: a file in `folder` may import what stands in its own folder and in
 * `mayImport` (repository folders, or package names). Folders that are not listed are free.
 */
export interface Direction {
  readonly folder: string;
  readonly mayImport: readonly string[];
  /** Node's own modules and packages that it may use; none by default. */
  readonly packages?: readonly string[];
}

const engine = 'apps/server/src/engine';
const protocol = '@conclave/protocol';
/** Only for the class; a lint rule says why it is imported. */
const buffer = 'node:buffer';

export const directions: readonly Direction[] = [
  { folder: `${engine}/platform`, mayImport: [], packages: ['node:'] },
  { folder: `${engine}/raft`, mayImport: [`${engine}/platform/assert.ts`] },
  { folder: `${engine}/wal`, mayImport: [`${engine}/platform`, `${engine}/raft`], packages: ['node:zlib'] },
  {
    folder: `${engine}/snapshot`,
    mayImport: [`${engine}/platform`, `${engine}/raft`],
    packages: ['node:zlib', 'node:crypto', buffer],
  },
  {
    folder: `${engine}/backend`,
    mayImport: [`${engine}/platform`, `${engine}/raft`, `${engine}/snapshot`],
    packages: ['lmdb', 'node:worker_threads', 'node:os', 'node:fs', buffer],
  },
  {
    folder: `${engine}/mvcc`,
    mayImport: [`${engine}/platform`, `${engine}/backend`],
    packages: [protocol, 'node:zlib', buffer],
  },
  {
    folder: `${engine}/watch`,
    mayImport: [`${engine}/platform`, `${engine}/backend/backend.ts`, `${engine}/mvcc`],
    packages: [protocol, buffer],
  },
  {
    folder: `${engine}/lease`,
    mayImport: [`${engine}/platform`, `${engine}/backend`],
    packages: [protocol, buffer],
  },
  {
    folder: `${engine}/apply`,
    mayImport: ['platform', 'raft', 'backend', 'mvcc', 'watch', 'lease', 'auth'].map(
      (name) => `${engine}/${name}`,
    ),
    packages: [protocol, 'node:zlib', buffer],
  },
  {
    folder: `${engine}/replica`,
    mayImport: ['platform', 'raft', 'wal', 'snapshot', 'backend', 'apply', 'mvcc', 'watch', 'lease'].map(
      (name) => `${engine}/${name}`,
    ),
    packages: [protocol, buffer],
  },
  {
    folder: 'apps/server/src/peer',
    mayImport: [
      `${engine}/platform`,
      `${engine}/raft`,
      `${engine}/replica/peer-message.ts`,
      `${engine}/replica/peer-transport.ts`,
    ],
    packages: [protocol, '@conclave/grpc', 'node:'],
  },
  {
    folder: `${engine}/requests`,
    mayImport: ['platform', 'raft', 'backend', 'mvcc', 'watch', 'lease', 'auth', 'apply', 'replica'].map(
      (name) => `${engine}/${name}`,
    ),
    packages: [protocol, 'node:crypto', buffer],
  },
  {
    folder: 'apps/server/src/grpc-api',
    mayImport: [`${engine}/requests`],
    packages: [protocol, '@conclave/grpc', buffer],
  },
  { folder: 'apps/server/src/logging', mayImport: [`${engine}/platform`], packages: ['pino', 'node:'] },
  {
    folder: 'apps/server/src/metrics',
    mayImport: [`${engine}/platform`],
    packages: [protocol, 'prom-client', '@conclave/grpc', 'node:'],
  },
  {
    folder: 'apps/server/src/http-api',
    mayImport: [
      `${engine}/requests`,
      `${engine}/platform`,
      'apps/server/src/metrics',
      'apps/server/src/options/listen-url.ts',
    ],
    packages: [
      protocol,
      '@conclave/grpc',
      '@bufbuild/protobuf',
      '@nestjs/',
      'fastify',
      'rxjs',
      'reflect-metadata',
      'node:',
    ],
  },
  {
    folder: 'libs/protocol/src',
    mayImport: [],
    packages: ['@conclave/grpc/status', '@bufbuild/protobuf', buffer],
  },
  { folder: 'libs/grpc/src', mayImport: [], packages: ['node:'] },
  {
    folder: 'libs/config-model/src',
    mayImport: [],
    // `node:module` loads the YAML parser late; browsers get another file in its place.
    packages: ['yaml', '#yaml-library', 'node:module'],
  },
  {
    folder: 'libs/client/src',
    mayImport: [],
    packages: [protocol, '@conclave/grpc', '@conclave/config-model', 'rxjs', '@nestjs/', 'node:'],
  },
];

/** Only these files may load LMDB. */
export const lmdbFiles = /^apps\/server\/src\/engine\/backend\/lmdb-[a-z-]+\.ts$/;
