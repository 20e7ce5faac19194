import { All, Controller, Inject, type OnModuleDestroy, Req, Res } from '@nestjs/common';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { Gateway } from './gateway.js';
import { HTTP_SERVICES, type HttpServices } from './http-services.js';

/** etcd's JSON API. Requests and answers may be streams, so both go to the gateway as they are. */
@Controller('v3')
export class GatewayController implements OnModuleDestroy {
  readonly #gateway: Gateway;

  constructor(@Inject(HTTP_SERVICES) { methods, limits }: HttpServices) {
    this.#gateway = new Gateway(methods, limits);
  }

  @All('*')
  serve(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    reply.hijack();
    const path = request.url.split('?', 1)[0] ?? '';
    this.#gateway.serve(path, request.raw, reply.raw);
  }

  /** The application closes: open streams end with it. */
  onModuleDestroy(): void {
    this.#gateway.stop();
  }
}
