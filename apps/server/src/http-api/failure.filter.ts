import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { GrpcStatus } from '@conclave/protocol';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { failureBody } from './http-error.js';

/** Answers every failure of the application in the form of the JSON API; unknown paths are a JSON 404. */
@Catch()
export class FailureFilter implements ExceptionFilter {
  constructor(private readonly onDefect: (error: unknown, where: string) => void) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const status = error instanceof HttpException ? error.getStatus() : 500;
    if (status >= 500) this.onDefect(error, `${request.method} ${request.url}`);
    if (reply.sent || reply.raw.headersSent) return;
    const code =
      status === 404 ? GrpcStatus.NotFound : status >= 500 ? GrpcStatus.Internal : GrpcStatus.InvalidArgument;
    const message =
      status === 404 ? 'Not Found' : error instanceof HttpException ? error.message : 'internal error';
    void reply.code(status).type('application/json').send(failureBody({ code, message }));
  }
}
