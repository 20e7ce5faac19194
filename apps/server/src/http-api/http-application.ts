import 'reflect-metadata';
import { type IncomingMessage, type RequestListener } from 'node:http';
import { type DynamicModule, type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { GrpcStatus } from '@conclave/protocol';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { FailureFilter } from './failure.filter.js';
import { failureBody } from './http-error.js';
import { type HttpFront } from './http-front.js';

/** What the application tells its owner. */
export interface ApplicationHost {
  /** Nest's own lines; those of its start are of no interest to anybody. */
  warn(message: string): void;
  onDefect(error: unknown, where: string): void;
}

/** The running Nest application; `close` ends it, without touching connections. */
export interface HttpApplication {
  close(): Promise<void>;
}

/**
 * Builds the Nest application and installs it on the front, whose waiting connections are then served. Loading this
 * module loads Nest and Fastify, which takes longer than starting an engine: import it when the member is ready.
 */
export async function installHttpApplication(
  module: DynamicModule,
  front: HttpFront,
  host: ApplicationHost,
): Promise<HttpApplication> {
  let application: RequestListener | undefined;
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) => {
      application = handler;
      return front.server;
    },
    rewriteUrl: ({ url = '/' }: IncomingMessage) => url.replace(/^\/v3beta\//, '/v3/'),
    // Bodies are read by the gateway, with its own limit.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: false,
    exposeHeadRoutes: true,
    // No route has a schema: compilers for them would take time and memory for nothing.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      void reply
        .code(400)
        .type('application/json')
        .send(failureBody({ code: GrpcStatus.InvalidArgument, message: error.message }));
    },
  });
  await nextTurn();
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    abortOnError: false,
    logger: nestLogger(host),
  });
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  app.useGlobalFilters(new FailureFilter((error, where) => host.onDefect(error, where)));
  await nextTurn();
  await app.init();
  await nextTurn();
  await fastify.ready();
  if (application === undefined) throw new Error('Fastify asked for no server');
  front.install(application);
  return { close: () => app.close() };
}

function noSchemas(): never {
  throw new Error('a route has a schema, but there is no compiler for it; see installHttpApplication');
}

/** Lets heartbeats and clients have their turn between two steps that take long. */
function nextTurn(): Promise<void> {
  return new Promise((turn) => setImmediate(turn));
}

function nestLogger(host: ApplicationHost): LoggerService {
  const quiet = (): void => undefined;
  const warn = (message: unknown): void => host.warn(String(message));
  return { log: quiet, debug: quiet, verbose: quiet, warn, error: warn, fatal: warn };
}
